"""Alerts of patterns are cleared when their time is over, or their pattern was changed or undeployed, and no others."""

import time
import uuid

import psycopg
import pytest

from connectors.sinks.alerts import AlertSink
from headwater.model.alert import AlertEvent, alert_id
from headwater.model.codec import decode, device_key
from headwater.model.settings import JobSettings, SinkSettings
from headwater.model.topics import ALERTS
from headwater.sql import closing
from headwater.sql.deployed import Deployed
from tests.integration.analysts import reading
from tests.integration.sinks import create_topics, fresh_database

T0 = time.time_ns() // 1_000_000 - 60_000
START = T0 - 5
CHANGED = T0 + 10_000


@pytest.fixture
def url(postgres: str) -> str:
    return fresh_database(postgres)


def event(tenant: str, rule: str, device: str, at: int, happened="raised", why="reading") -> AlertEvent:
    name = alert_id(tenant, rule, device, "m", START)
    return AlertEvent(
        v=1, alert_id=name, tenant=tenant, rule=rule, version=1, device=device, happened=happened, why=why,
        severity="minor", event_time=at, start=START, log_time=at, metric="m",
    )  # fmt: skip


def pattern(name: str, wanted: bool) -> Deployed:
    said = {"query": "q", "description": "d", "owner": "o", "grain": "g", "inputs": ["m"], "severity": "minor"}
    said["clear_ms"] = 5_000
    return Deployed(name=name, kind="pattern", from_ms=CHANGED, wanted=wanted, **said)


def published(kafka: str, tenant: str, wanted: int) -> list[AlertEvent]:
    """The events of a tenant on the topic, as soon as there are so many."""
    found: list[AlertEvent] = []
    until = time.monotonic() + 60
    with reading(kafka, ALERTS) as ask:
        while len(found) < wanted and time.monotonic() < until:
            message = ask(0.5)
            if message is not None and not message.error() and (message.key() or b"").startswith(f"{tenant}/".encode()):
                found.append(decode(AlertEvent, message.value()))
                assert message.key() == device_key(tenant, found[-1].device)
                assert message.timestamp()[1] == found[-1].log_time
    return found


def test_an_alert_is_cleared_when_its_time_is_over_or_its_pattern_is_another_and_no_other_is(kafka: str, url: str):
    create_topics(kafka, [ALERTS.name])
    tenant = f"closing-{uuid.uuid4().hex[:8]}"
    settings = JobSettings(_env_file=None, kafka=kafka, postgres=url)
    known = [pattern("changed", True), pattern("gone", False)]
    before = [
        event(tenant, "pattern:changed", "open", T0),
        event(tenant, "pattern:changed", "over", T0),
        event(tenant, "pattern:changed", "over", T0 + 7, "cleared", "expired"),
        event(tenant, "pattern:gone", "open", T0 + 1),
        event(tenant, "pattern:changed", "new", CHANGED + 2),  # the changed pattern has raised it
        event(tenant, "pattern:changed", "old", CHANGED),
        event(tenant, "pattern:other", "open", T0),  # nobody has deployed that one here
        event(tenant, "changed", "open", T0),  # a rule of the same name
    ]
    sink = AlertSink(SinkSettings(_env_file=None, postgres=url))
    assert sink.positions() == {}
    sink.write(before, {})
    sink.flush()

    wanted = ["changed: 1 open alerts cleared", "gone: 1 open alerts cleared"]
    assert closing.clear(settings, known, CHANGED) == wanted
    assert closing.clear(settings, known, CHANGED + 4_999) == wanted  # the sink has not seen it yet
    events = published(kafka, tenant, 4)
    assert len(events) == 4
    assert {(one.alert_id, one.why, one.happened, one.event_time, one.log_time) for one in events} == {
        (before[0].alert_id, "rule-changed", "cleared", CHANGED, CHANGED),
        (before[3].alert_id, "rule-deleted", "cleared", CHANGED, CHANGED),
    }

    sink.write(events, {})
    sink.flush()
    assert closing.clear(settings, known, CHANGED + 4_999) == []
    assert closing.clear(settings, known, CHANGED + 5_001) == wanted[:1]
    [expired] = {one for one in published(kafka, tenant, 5) if one not in events}
    at = CHANGED + 5_000
    assert (expired.device, expired.why, expired.event_time, expired.log_time) == ("old", "expired", at, at)
    sink.write([expired], {})
    sink.flush()
    sink.disconnect()
    with psycopg.connect(url) as connection:
        rows = connection.execute("select rule, device from alert where cleared is null order by rule").fetchall()
    assert rows == [("changed", "open"), ("pattern:changed", "new"), ("pattern:other", "open")]


def test_metrics_have_no_alerts(url: str):
    settings = JobSettings(_env_file=None, kafka="127.0.0.1:1", postgres=url)
    said = {"query": "q", "description": "d", "owner": "o", "grain": "g", "inputs": ["m"]}
    assert closing.clear(settings, [Deployed(name="m", from_ms=CHANGED, **said)], CHANGED) == []
