"""The console and the tables that analysts see, on a real gateway: readings, the registry, alerts, functions."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headwater.cli.sql_console import Console, Reading
from headwater.model import topics
from headwater.model.alert import AlertEvent
from headwater.model.codec import device_key, encode
from headwater.model.errors import BadRequest
from headwater.model.rule import Rule, Threshold
from headwater.model.settings import JobSettings
from headwater.sql import kinds, tables, trial
from headwater.sql.keeping import QueryKeeper
from headwater.sql.session import Session
from headwater.stack import gateway, submit
from headwater.stack.state import State
from tests.integration.analysts import (
    TENANT,
    answers,
    documented,
    known,
    letters_of,
    look_until,
    producer,
    publish,
    rows_of,
    stack,
)

POWER = "computed_power_watt"
STALL = "rise-then-stall"


@pytest.fixture(scope="module")
def state(kafka: str, postgres_server: State, tmp_path_factory: pytest.TempPathFactory) -> Iterator[State]:
    with stack(kafka, postgres_server, tmp_path_factory.mktemp("analysts"), tmp_path_factory.mktemp("empty")) as state:
        yield state


@pytest.fixture(scope="module")
def settings(state: State) -> JobSettings:
    return JobSettings(_env_file=state.folder / "run.env", parallelism=1)


@pytest.fixture(scope="module")
def wheel(state: State) -> str:
    return str(submit.wheel(state))


def test_the_console_answers_with_readings_functions_and_one_line_for_an_error(kafka, state, settings, wheel):
    publish(kafka, "reader", 1, celsius=100.0)
    said: list[str] = []
    with Session(gateway.url(state), tables.properties(settings, wheel, 1)) as session:
        console = Console(session, settings, Reading("earliest", "now"), said.append, json=True)
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


@pytest.mark.parametrize("mode", ["process", "thread"])
def test_a_function_that_fails_makes_dead_letters_and_its_query_goes_on(mode, kafka, state, settings, wheel):
    job = f"bad-{mode}"
    properties = tables.properties(settings, f"{wheel},{Path(__file__).with_name('bad_functions.py')}", 1, job)
    query = (
        "select `value`, inverse(`value`), mistyped(`value`), convert_unit(`value`, 'celsius', 'kelvin') "
        f"from readings where device = '{job}'"
    )
    with Session(gateway.url(state), {**properties, "python.execution-mode": mode}) as session:
        for each in tables.opening(settings, tables.start(None)):
            session.run(each)
        for name in ("inverse", "mistyped", "never"):
            session.run(f"create temporary system function {name} as 'bad_functions.{name}' language python")
        publish(kafka, job, 1, level=0.0)
        rows = session.execute(query).rows
        assert next(rows).values == [0.0, None, None, 273.15]
        letters = letters_of(kafka, job, 2)
        publish(kafka, job, 1, level=2.0)
        assert next(rows).values == [2.0, 0.5, 2.0, 275.15]
        session.cancel()
        # A query that ends at once tells of all its failures, too.
        values = ", ".join(f"({number})" for number in range(50))
        assert session.run(f"select v, never(v) from (values {values}) as t(v)") == [[one, None] for one in range(50)]
        letters_of(kafka, job, 52)
    assert {(one.reason, one.detail) for one in letters} == {
        ("udf-failed", "inverse(0.0) gave null: ZeroDivisionError: float division by zero"),
        ("udf-failed", "mistyped(0.0) gave null: WrongResult: expected a double, got str 'none'"),
    }
    assert f"{job}: inverse(0.0) gave null" in (state.folder / "logs" / "taskmanager.log").read_text()


def test_readings_know_the_site_of_a_device_that_was_registered_before_reading_starts(kafka, state, settings, wheel):
    known(kafka, "settled", "north")
    time.sleep(2)
    start = str(time.time_ns() // 1_000_000 - 500)
    publish(kafka, "settled", 1, celsius=20.0)
    publish(kafka, "stranger", 1, celsius=20.0)
    query = "select device, site, model from enriched where device in ('settled', 'stranger')"
    found = answers(state, settings, wheel, Reading(start, "now"), query)
    # Whoever reads on as the log grows has them too: beats say that nothing of the registry is missing.
    live = answers(state, settings, wheel, Reading(start, rows=2), query)
    expected = [
        {"device": "settled", "site": "north", "model": "boiler"},
        {"device": "stranger", "site": None, "model": None},
    ]
    assert sorted(found, key=lambda row: row["device"]) == expected
    assert sorted(live, key=lambda row: row["device"]) == expected


def test_readings_are_grouped_by_site(kafka, state, settings, wheel):
    known(kafka, "one", "hill")
    known(kafka, "two", "hill")
    time.sleep(1)
    start = str(time.time_ns() // 1_000_000 - 500)
    publish(kafka, "one", 1, bar=2.0)
    publish(kafka, "two", 1, bar=4.0)
    found = answers(state, settings, wheel, Reading(start, "now"), documented("group by e.site"))
    assert [row["site"] for row in found if row["metric"] == "bar"][-1:] == ["hill"]
    [last] = [row for row in found if row["metric"] == "bar"][-1:]
    assert (last["readings"], last["mean"]) == (2, 3.0)


def test_alerts_rules_and_what_was_refused_are_tables_too(kafka, state, settings, wheel):
    now = time.time_ns() // 1_000_000
    event = AlertEvent(
        v=1, alert_id="0" * 32, tenant=TENANT, rule="hot", version=1, device="oven", happened="raised", why="reading",
        severity="major", event_time=5, start=4, log_time=now, metric="celsius", value=90.5, level=80.0,
    )  # fmt: skip
    rule = Rule(v=1, tenant=TENANT, rule="hot", version=2, severity="major", when=Threshold(metric="celsius", above=80))
    letter = {"v": 1, "reason": "bad-record", "tenant": TENANT, "device": "oven"}
    late = {"v": 1, "tenant": TENANT, "device": "oven", "pane": 10_000, "metrics": ["celsius"]}
    out = producer(kafka)
    for topic, value in (
        (topics.ALERTS, encode(event)),
        (topics.ALERT_RULES, encode(rule)),
        (topics.DEAD_LETTER, json.dumps(letter).encode()),
        (topics.CORRECTIONS, json.dumps(late).encode()),
        (topics.ENRICHED, json.dumps({"v": 1, "tenant": TENANT, "device": "oven", "site": "north"}).encode()),
    ):
        out.produce(topic.name, key=device_key(TENANT, "oven"), value=value, timestamp=now)
    assert out.flush(120) == 0
    whole = Reading("earliest", "now")
    [found] = [one for one in answers(state, settings, wheel, whole, "select * from alerts") if one["device"] == "oven"]
    assert (found["alert_id"], found["severity"], found["value"], found["level"]) == ("0" * 32, "major", "90.5", 80.0)
    query = f"select rule, version, kind, deleted from rules where tenant = '{TENANT}'"
    assert answers(state, settings, wheel, whole, query) == [
        {"rule": "hot", "version": 2, "kind": "threshold", "deleted": False}
    ]
    for query, expected in (
        ("select reason from dead_letter where device = 'oven'", {"reason": "bad-record"}),
        (
            "select pane, metrics[1] as metric from corrections where device = 'oven'",
            {"pane": 10_000, "metric": "celsius"},
        ),
        ("select site from enriched_data where device = 'oven'", {"site": "north"}),
    ):
        assert answers(state, settings, wheel, whole, query) == [expected]


def test_every_table_and_view_can_be_made_and_its_columns_are_completed(state, settings, wheel):
    with Session(gateway.url(state), tables.properties(settings, wheel, 1)) as session:
        for each in tables.opening(settings, Reading().begin()):
            session.run(each)
        assert {str(row[0]) for row in session.run("show tables")} == tables.known().keys()
        for name in tables.known():
            assert {str(row[0]) for row in session.run(f"describe {name}")} <= tables.columns(), name
            session.run(f"explain plan for select * from {name}")


def test_a_pattern_may_ask_what_the_registry_said_then(state, settings, wheel):
    whole = kinds.load(STALL)
    placed = """from (
        select r.*, g.site from readings_in_order as r left join registry for system_time as of r.appended as g
        on r.tenant = g.tenant and r.device = g.device
    )"""
    for only, lost in (("is null", 0), ("is not null", len(whole.expected))):
        query = whole.query.replace("from readings_in_order", placed).replace(
            "define", f"define low as low.site {only},"
        )
        with Session(gateway.url(state), tables.properties(settings, wheel, 1)) as session:
            said = trial.run(session, replace(whole, query=query), settings)
        assert len([line for line in said if line.endswith("got no row")]) == len(said) == lost


def test_a_metric_may_ask_the_registry(kafka, state, settings, wheel):
    query = """
        select p.tenant, p.device, p.pane, case when r.site is null then 0e0 else 1e0 end as `value`,
            p.`count` as n, p.generation, p.as_of, p.received
        from panes as p
        left join registry as r on p.tenant = r.tenant and p.device = r.device
    """
    given, expected = ({"device": "meter", "metric": "volt", "pane": 0}, {"device": "meter", "pane": 0, "value": 0})
    made = replace(
        kinds.load(POWER), name="has_site", query=query, inputs=("volt",), given=(given,), expected=(expected,)
    )
    with Session(gateway.url(state), tables.properties(settings, wheel, 1)) as session:
        assert trial.run(session, made, settings) == []
    known(kafka, "placed", "north")
    keeper = QueryKeeper(state, settings)
    keeper.deploy(made, lambda: None)
    look_until(keeper, "has_site", "running")
    publish(kafka, "placed", 1, volt=1.0)
    # A plain join says what is known when it reads, and says it again when more is known.
    assert rows_of(kafka, "has_site", lambda rows: any(row.last == 1.0 for row in rows))
    keeper.undeploy("has_site")
