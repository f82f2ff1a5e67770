"""Alerts in PostgreSQL: each episode as its last event leaves it, whatever comes again and in whatever order."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.rows import dict_row

from connectors.sinks.alerts import AlertSink
from headwater.model.alert import AlertEvent
from headwater.model.rule import SEVERITIES, Silence, Step, Threshold
from headwater.model.settings import SinkSettings
from headwater.rules.item import Slice
from tests.integration.sinks import fresh_database
from tests.unit.rules_logs import rule, run

T0 = 4_000_000_000_000
"""In the future, so that nothing of it is past its time."""
RULES = [
    rule(Threshold(metric="m", above=5.0, clear=3.0, escalate=[Step(severity="critical", level=9.0)]), name="hot"),
    rule(Threshold(metric="m", below=1.0), name="cold", severity="minor"),
    rule(Silence(metric="m", for_ms=1_500), name="silent", severity="major"),
]


def story(seed: int) -> list[AlertEvent]:
    """What the evaluator says of a random log of a device, in its order."""
    rng, now, items = random.Random(seed), T0, []
    for _ in range(60):
        now += rng.choice([200, 700, 2_000])
        ts = [now - 100 + 10 * at for at in range(rng.randint(1, 8))]
        items.append(Slice("m", ts, [float(rng.randint(0, 12)) for _ in ts], now))
    return run(items, *[(T0, one) for one in RULES], until=now)


def episodes(events: list[AlertEvent]) -> dict[str, tuple]:
    """Each episode by its last event, as a reader of the stream would fold them."""
    found: dict[str, tuple] = {}
    worst: dict[str, int] = {}
    raised: dict[str, int] = {}
    for event in events:
        alert = event.alert_id
        worst[alert] = max(SEVERITIES.index(event.severity), worst.get(alert, 0))
        if event.happened == "raised":
            raised[alert] = event.event_time
        cleared = event.event_time if event.happened == "cleared" else None
        found[alert] = (
            event.rule, event.device, event.severity, SEVERITIES[worst[alert]], event.start, raised[alert], cleared,
            event.log_time, event.why, event.value, event.level,
        )  # fmt: skip
    return found


@pytest.fixture
def url(postgres: str) -> str:
    return fresh_database(postgres)


@contextmanager
def sink(url: str, **settings) -> Iterator[AlertSink]:
    made = AlertSink(SinkSettings(_env_file=None, postgres=url, **settings))
    try:
        yield made
    finally:
        made.disconnect()


def stored(url: str) -> dict[str, tuple]:
    columns = "rule, device, severity, worst, start, raised, cleared, changed, why, value, level"
    with psycopg.connect(url, row_factory=dict_row) as connection:
        rows = connection.execute(f"select alert_id, {columns} from alert").fetchall()
    return {row.pop("alert_id"): tuple(row.values()) for row in rows}


@pytest.mark.parametrize("seed", range(4))
def test_repeats_and_any_order_leave_the_episodes_that_the_events_tell(url: str, seed: int):
    events, rng = story(seed), random.Random(seed)
    assert {event.happened for event in events} == {"raised", "escalated", "deescalated", "cleared"}
    played = [*events, *rng.sample(events, len(events) // 2)]
    if seed:
        rng.shuffle(played)
    with sink(url) as alerts:
        assert alerts.positions() == {}
        while played:
            part, played = played[: rng.randint(1, 9)], played[rng.randint(1, 9) :]
            alerts.write(part, {0: 1})
            alerts.flush()
        alerts.write(events, {0: 2})
        alerts.flush()
    assert stored(url) == episodes(events)


def test_what_was_cleared_long_ago_is_forgotten_with_all_that_was_said_of_it(url: str):
    old = [event for event in story(1) if event.rule == "cold"]
    aged = [
        AlertEvent(**{name: getattr(event, name) for name in event.__struct_fields__} | {"log_time": at})
        for at, event in enumerate(old, 1)
    ]
    # Kept for ever first, as if they had been written when they were new.
    with sink(url, keep_alerts_days=36_500) as alerts:
        assert alerts.positions() == {}
        alerts.write(aged, {0: 1})
        alerts.flush()
    with psycopg.connect(url) as connection:
        connection.execute("insert into alert_acknowledged select tenant, alert_id, now(), 'me', '' from alert")
    active = {alert for alert, row in stored(url).items() if row[6] is None}
    with sink(url) as alerts:
        alerts.upkeep()
        alerts.write(aged, {0: 1})
        alerts.flush()
    assert stored(url).keys() == active
    with psycopg.connect(url) as connection:
        said = connection.execute("select alert_id from alert_acknowledged").fetchall()
    assert {one for (one,) in said} == active
