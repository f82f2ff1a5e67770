"""Analysts' SQL on a real gateway and cluster: rows out of the log, metrics and patterns from files to rows and alerts.

One cluster for all of it; a busy machine needs minutes for its start.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from connectors.sinks.alerts import AlertSink
from headwater.cli.sql_console import Console, Reading
from headwater.model import topics
from headwater.model.alert import AlertEvent
from headwater.model.codec import device_key, encode
from headwater.model.errors import BadRequest
from headwater.model.rule import Rule, Threshold
from headwater.model.settings import JobSettings, SinkSettings
from headwater.sql import kinds, tables, trial
from headwater.sql.keeping import QueryKeeper
from headwater.sql.pattern import Pattern
from headwater.sql.session import Session
from headwater.stack import gateway, snapshots, submit
from headwater.stack.state import State
from tests.integration.analysts import (
    TENANT,
    Match,
    alerts_of,
    answers,
    cancel_past_the_keeper,
    documented,
    in_order,
    known,
    look_until,
    producer,
    promise_of,
    publish,
    publish_packs,
    random_packs,
    rises,
    rows_of,
    stack,
)

pytestmark = pytest.mark.timeout(900)

POWER = "computed_power_watt"
STALL = "rise-then-stall"
FAILS = (
    "select tenant, device, pane, cast(100 / (`count` - 5) as double) as `value`, `count` as n, generation, as_of, "
    "received from panes"
)


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
    assert out.flush(30) == 0
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
    assert [row.last for row in rows_of(kafka, "has_site", 1)][-1:] == [1.0]
    keeper.undeploy("has_site")


@pytest.mark.parametrize("name", sorted(kinds.files()))
def test_the_queries_that_come_with_it_give_what_they_promise(name, state, settings, wheel):
    with Session(gateway.url(state), tables.properties(settings, wheel, 1)) as session:
        assert trial.run(session, kinds.load(name), settings) == []


def test_a_metric_that_gives_something_else_says_what(state, settings, wheel):
    whole = kinds.load(POWER)
    wrong = replace(whole, query=whole.query.replace(" * ", " + "))
    with Session(gateway.url(state), tables.properties(settings, wheel, 1)) as session:
        assert "meter at pane 0: expected value 2300, got 240.0" in trial.run(session, wrong, settings)
    lacking = replace(whole, query="select tenant, device, pane from panes")
    with (
        Session(gateway.url(state), tables.properties(settings, wheel, 1)) as session,
        pytest.raises(BadRequest, match="expected the columns tenant, device"),
    ):
        trial.run(session, lacking, settings)


def test_a_deployed_metric_is_served_kept_running_and_ends_when_it_is_undeployed(kafka, state, settings):
    keeper = QueryKeeper(state, settings)
    pane = publish(kafka, "meter", 2, voltage_volt=460.0, current_ampere=20.0)
    keeper.deploy(kinds.load(POWER), lambda: None)
    one = look_until(keeper, POWER, "running")
    [row] = rows_of(kafka, POWER, 1)
    assert (row.device, row.pane, row.count, row.sum, row.last) == ("meter", pane, 2, 4600.0, 2300.0)

    cancel_past_the_keeper(keeper, one)
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


def test_a_pattern_that_gives_something_else_says_what(state, settings, wheel):
    whole = kinds.load(STALL)
    near = replace(whole, query=whole.query.replace("rise{5,}", "rise{6,}"))
    with Session(gateway.url(state), tables.properties(settings, wheel, 1)) as session:
        said = trial.run(session, near, settings)
    assert said == ["boiler, temperature_celsius from 1000: expected event_time 9000, got no row"]
    for wrong, why in (
        (whole.query.replace("top as level", "top"), "level is missing"),
        (whole.query.replace("low.ts as started", "low.nope as started"), "nope"),
    ):
        with (
            Session(gateway.url(state), tables.properties(settings, wheel, 1)) as session,
            pytest.raises(BadRequest, match=why),
        ):
            trial.run(session, replace(whole, query=wrong), settings)


def test_a_deployed_pattern_finds_what_is_in_the_log_and_names_it_the_same_after_a_restart(kafka, state, settings):
    metric = "temperature_celsius"
    keeper, rule = QueryKeeper(state, settings), f"pattern:{STALL}"
    keeper.deploy(replace(kinds.load(STALL), clear_ms=1_000), lambda: None)
    one = look_until(keeper, STALL, "running")
    packs = random_packs(7, metric, devices=4, steps=150)
    expected = {match for device, readings in in_order(packs, metric).items() for match in rises(device, readings)}
    assert len(expected) > 10
    # The devices lie one after the other: the cut goes through the second one.
    cut = next(at for at, pack in enumerate(packs) if pack.device == "d1") + 20
    publish_packs(kafka, packs[:cut])
    alerts_of(kafka, rule, bool)
    until = time.monotonic() + 120
    while not snapshots.of_jobs(state, one.runs):
        assert time.monotonic() < until
        time.sleep(0.5)
    cancel_past_the_keeper(keeper, one)
    publish_packs(kafka, packs[cut:])
    again = look_until(keeper, STALL, "running")
    assert again.runs[-1] != one.runs[-1]

    raised = alerts_of(kafka, rule, lambda found: len(found) >= len(expected))
    assert {Match(one.device, one.start, one.event_time, one.value, one.level) for one in raised} == expected
    assert len(raised) == len(expected)  # what is found again after the restart is the same event
    for event in raised:
        text = "\0".join((TENANT, rule, event.device, metric, str(event.start)))
        assert event.alert_id == hashlib.md5(text.encode()).hexdigest()
        assert (event.tenant, event.version, event.severity, event.metric) == (TENANT, 1, "warning", metric)
        assert (event.happened, event.why) == ("raised", "reading")

    sink = AlertSink(SinkSettings(_env_file=None, postgres=state.url("postgres")))
    assert sink.positions() == {}
    sink.write(list(raised), {})
    sink.flush()
    sink.disconnect()
    assert f"{STALL}: {len(expected)} open alerts cleared" in keeper.look()
    cleared = alerts_of(kafka, rule, lambda found: len(found) >= 2 * len(expected)) - raised
    ends = {(event.alert_id, "cleared", "expired", event.log_time + 1_000) for event in raised}
    assert {(event.alert_id, event.happened, event.why, event.log_time) for event in cleared} == ends


def test_a_pattern_whose_query_fails_stops_alone_and_says_why(kafka, state, settings):
    keeper = QueryKeeper(state, settings)
    good = kinds.load(STALL)
    query = good.query.replace("+ 0.5", "+ 100 / (cast(low.`value` as int) - 13)")
    bad = Pattern.checked("fails-at-13", query, {**promise_of(good), "inputs": ["level"]})
    keeper.deploy(good, lambda: None)
    keeper.deploy(bad, lambda: None)
    look_until(keeper, "fails-at-13", "running")
    publish(kafka, "odd", 1, level=13.0)
    publish(kafka, "odd", 1, level=14.0)
    one = look_until(keeper, "fails-at-13", "failed")
    assert "/ by zero" in one.why
    assert look_until(keeper, STALL, "running").runs
    keeper.undeploy("fails-at-13")
    keeper.undeploy(STALL)
    assert keeper.cluster.live(one.job) == []
