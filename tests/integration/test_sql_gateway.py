"""Analysts' SQL on a real gateway and cluster: rows out of the log, metrics and patterns from files to rows and alerts.

One cluster for all of it; a busy machine needs minutes for its start.
"""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from connectors.sinks.alerts import AlertSink
from headwater.model.errors import BadRequest
from headwater.model.settings import JobSettings, SinkSettings
from headwater.sql import deployed, keeping, kinds, tables, trial
from headwater.sql.keeping import QueryKeeper
from headwater.sql.pattern import Pattern
from headwater.sql.session import Session
from headwater.stack import gateway, probes, snapshots, submit
from headwater.stack.state import State
from tests.integration.analysts import (
    TENANT,
    Match,
    alerts_of,
    cancel_past_the_keeper,
    in_order,
    look_until,
    promise_of,
    publish,
    publish_packs,
    random_packs,
    rises,
    rows_of,
    stack,
)

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


def taskmanagers(settings: JobSettings) -> set[str]:
    """The ids of those that are registered; one that was started again has another."""
    return {one["id"] for one in probes.http_json(f"{settings.flink}/taskmanagers", timeout_s=10)["taskmanagers"]}


@pytest.mark.parametrize("name", sorted(kinds.files()))
def test_the_queries_that_come_with_it_give_what_they_promise(name, state, settings, wheel):
    with Session(gateway.url(state), tables.properties(settings, wheel, 1)) as session:
        assert trial.run(session, kinds.load(name), settings) == []
    QueryKeeper(state, settings).explain(deployed.of(kinds.load(name)))


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
    [row] = rows_of(kafka, POWER)
    assert (row.device, row.pane, row.count, row.sum, row.last) == ("meter", pane, 2, 4600.0, 2300.0)

    cancel_past_the_keeper(keeper, one)
    again = look_until(keeper, POWER, "running")
    assert again.runs[-1] != one.runs[-1]

    keeper.undeploy(POWER)
    assert keeper.look() == []
    assert keeper.cluster.live(one.job) == []


def test_a_metric_that_is_undeployed_while_it_starts_leaves_the_taskmanager_alone(state, settings, monkeypatch):
    monkeypatch.setattr("headwater.stack.cluster.STARTING_S", 120)  # what a busy machine takes is no failing job
    monkeypatch.setattr("headwater.sql.keeping.GONE_S", 120)
    keeper = QueryKeeper(state, settings)
    before = taskmanagers(settings)
    for _ in range(2):
        keeper.deploy(kinds.load(POWER), lambda: None)
        keeper.undeploy(POWER)
    assert len(before) == 1
    assert taskmanagers(settings) == before


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


def test_a_metric_that_fails_before_each_first_checkpoint_is_not_submitted_without_end(kafka, state, settings):
    keeper, name = QueryKeeper(state, settings), "fails_like_a_server"
    query = FAILS.replace("100 / (`count` - 5)", "'Connection refused'")
    keeper.deploy(replace(kinds.load(POWER), name=name, query=query, inputs=("level_again",)), lambda: None)
    publish(kafka, "odd", 1, level_again=1.0)
    one = look_until(keeper, name, "failed", 600)
    assert one.why.startswith(f"its job ended {keeping.MOST_IN_VAIN} times in a row before its first checkpoint: ")
    assert "Connection refused" in one.why
    assert len(one.runs) >= keeping.MOST_IN_VAIN
    assert keeper.look() == []
    keeper.undeploy(name)


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
