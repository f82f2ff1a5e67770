"""Analysts' SQL on a real gateway and cluster: rows out of the log, a metric from files to rows, one that fails.

One cluster for all of it; a busy machine needs minutes for its start.
"""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from confluent_kafka import Consumer, Producer

from headwater.cli.sql_console import Console, Reading
from headwater.model import topics
from headwater.model.codec import decode, device_key, encode, row_key
from headwater.model.errors import BadRequest
from headwater.model.pack import Aggregate, Pack, pane_of
from headwater.model.settings import JobSettings, Settings
from headwater.sql import deployed, kinds, tables, trial
from headwater.sql.keeping import QueryKeeper
from headwater.sql.session import Session
from headwater.stack import flink, gateway, jars, migrate, postgres, submit
from headwater.stack.foreground import running
from headwater.stack.state import State
from headwater.stack.topics import create_all

pytestmark = pytest.mark.timeout(900)

POWER = "computed_power_watt"
FAILS = (
    "select tenant, device, pane, cast(100 / (`count` - 5) as double) as `value`, `count` as n, generation, as_of, "
    "received from panes"
)


@pytest.fixture(scope="module")
def state(kafka: str, postgres_server: State, tmp_path_factory: pytest.TempPathFactory) -> Iterator[State]:
    """A cluster and a gateway, and what they need; devices `meter` and `odd` in the log."""
    given = {
        "HEADWATER_PORTS": "free",
        "HEADWATER_KAFKA": kafka,
        "HEADWATER_POSTGRES": postgres.create_database(postgres_server, "analysts"),
    }
    state = State.open(tmp_path_factory.mktemp("analysts"), given)
    migrate.apply(state.url("postgres"))
    create_all(Settings(kafka=kafka))
    for name in ("flink", "gateway"):
        jars.ensure(state.folder, name)
    flink.prepare(state)
    logs, empty = state.folder / "logs", tmp_path_factory.mktemp("empty")
    programs = [replace(one(state), folder=empty) for one in (flink.jobmanager, flink.taskmanager, gateway.program)]
    with running(programs[0], logs), running(programs[1], logs), running(programs[2], logs):
        yield state


@pytest.fixture(scope="module")
def settings(state: State) -> JobSettings:
    return JobSettings(_env_file=state.folder / "run.env", parallelism=1)


@pytest.fixture(scope="module")
def wheel(state: State) -> str:
    return str(submit.wheel(state))


def publish(kafka: str, device: str, count: int, **sums: float) -> int:
    """A row of each metric for the pane of now, and a pack with the same; returns the pane."""
    producer = Producer({"bootstrap.servers": kafka, "partitioner": "murmur2_random"})
    now = time.time_ns() // 1_000_000
    pane = pane_of(now)
    metrics = {name: [total / count] for name, total in sorted(sums.items())}
    pack = Pack(v=1, tenant="analysts", device=device, pane=pane, at=[now - pane], metrics=metrics, received=now)
    producer.produce(topics.RAW.name, key=device_key("analysts", device), value=encode(pack))
    for name, total in sums.items():
        mean = total / count
        row = Aggregate(
            v=1, tenant="analysts", device=device, metric=name, pane=pane, generation=1, count=count, sum=total,
            sum_sq=mean * mean * count, min=mean, max=mean, first_ms=pane, last_ms=now, last=mean, as_of=now,
            received=now,
        )  # fmt: skip
        producer.produce(topics.PROCESSED.name, key=row_key(row), value=encode(row), timestamp=now)
    assert producer.flush(30) == 0
    return pane


def rows_of(kafka: str, metric_name: str, wanted: int, seconds: float = 90) -> list[Aggregate]:
    """The first `wanted` rows of a metric on processed-data."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": f"of-{metric_name}", "auto.offset.reset": "earliest"})
    consumer.subscribe([topics.PROCESSED.name])
    found: list[Aggregate] = []
    until = time.monotonic() + seconds
    try:
        while len(found) < wanted and time.monotonic() < until:
            message = consumer.poll(0.5)
            if (
                message is not None
                and message.error() is None
                and f'"{metric_name}"'.encode() in (message.value() or b"")
            ):
                found.append(decode(Aggregate, message.value()))
    finally:
        consumer.close()
    assert len(found) >= wanted, f"{len(found)} rows of {metric_name} within {seconds:.0f} s"
    return found


def test_the_console_answers_with_readings_functions_and_one_line_for_an_error(kafka, state, settings, wheel):
    publish(kafka, "reader", 1, celsius=100.0)
    said: list[str] = []
    with Session(gateway.url(state), tables.properties(settings, wheel, 1)) as session:
        console = Console(session, settings, Reading("earliest", "now"), said.append, json=True)
        console.open()
        query = (
            "select device, metric, convert_unit(`value`, 'celsius', 'kelvin') as k, "
            "convert_unit(`value`, 'celsius', 'bar') as nothing from readings where device = 'reader'"
        )
        console.run(query)
        assert said == ['{"device": "reader", "metric": "celsius", "k": 373.15, "nothing": null}']
        with pytest.raises(BadRequest) as caught:
            console.script("select nope from panes")
        assert "Column 'nope' not found" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(kinds.files()))
def test_the_queries_that_come_with_it_give_what_they_promise(name, state, settings, wheel):
    with Session(gateway.url(state), tables.properties(settings, wheel, 1)) as session:
        assert trial.run(session, kinds.load(name)) == []


def test_a_metric_that_gives_something_else_says_what(state, settings, wheel):
    whole = kinds.load(POWER)
    wrong = replace(whole, query=whole.query.replace(" * ", " + "))
    with Session(gateway.url(state), tables.properties(settings, wheel, 1)) as session:
        assert "meter at pane 0: expected value 2300, got 240.0" in trial.run(session, wrong)
    lacking = replace(whole, query="select tenant, device, pane from panes")
    with (
        Session(gateway.url(state), tables.properties(settings, wheel, 1)) as session,
        pytest.raises(BadRequest, match="expected the columns tenant, device"),
    ):
        trial.run(session, lacking)


def look_until(keeper: QueryKeeper, name: str, wanted: str) -> deployed.Deployed:
    until = time.monotonic() + 120
    while True:
        keeper.look()
        one = deployed.read(keeper.state, name)
        assert one is not None
        if one.state == wanted:
            return one
        assert time.monotonic() < until, one
        time.sleep(0.5)


def test_a_deployed_metric_is_served_kept_running_and_ends_when_it_is_undeployed(kafka, state, settings):
    keeper = QueryKeeper(state, settings)
    pane = publish(kafka, "meter", 2, voltage_volt=460.0, current_ampere=20.0)
    keeper.deploy(kinds.load(POWER), lambda: None)
    one = look_until(keeper, POWER, "running")
    [row] = rows_of(kafka, POWER, 1)
    assert (row.device, row.pane, row.count, row.sum, row.last) == ("meter", pane, 2, 4600.0, 2300.0)

    keeper.cluster.cancel(one.runs[-1])  # past the keeper
    keeping_s = time.monotonic() + 60
    while keeper.cluster.live(one.job):
        assert time.monotonic() < keeping_s
        time.sleep(0.2)
    again = look_until(keeper, POWER, "running")
    assert again.runs[-1] != one.runs[-1]

    keeper.undeploy(POWER)
    assert keeper.look() == []
    assert keeper.cluster.live(one.job) == []


def test_a_metric_whose_query_fails_stops_alone_and_says_why(kafka, state, settings):
    keeper = QueryKeeper(state, settings)
    made = replace(kinds.load(POWER), name="fails_at_five", query=FAILS, inputs=("level",))
    keeper.deploy(made, lambda: None)
    look_until(keeper, "fails_at_five", "running")
    publish(kafka, "odd", 5, level=1.0)
    one = look_until(keeper, "fails_at_five", "failed")
    assert "/ by zero" in one.why
    assert keeper.look() == []
    keeper.undeploy("fails_at_five")
