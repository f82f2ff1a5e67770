"""Open alerts of a pattern that was changed or undeployed are cleared, once, and no others."""

import uuid

import psycopg
import pytest
from confluent_kafka import Consumer

from connectors.sinks.alerts import AlertSink
from headwater.model.alert import AlertEvent, alert_id
from headwater.model.codec import decode, device_key
from headwater.model.settings import JobSettings, SinkSettings
from headwater.model.topics import ALERTS
from headwater.sql import closing
from headwater.sql.deployed import Deployed
from tests.integration.sinks import create_topics, fresh_database

T0 = 4_000_000_000_000
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
    return Deployed(name=name, kind="pattern", from_ms=CHANGED, wanted=wanted, **said)


def published(kafka: str, tenant: str) -> list[AlertEvent]:
    """All events of a tenant that are on the topic now."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": f"of-{uuid.uuid4()}", "auto.offset.reset": "earliest"})
    consumer.subscribe([ALERTS.name])
    found, empty = [], 0
    while empty < 5:
        messages = consumer.consume(500, 1.0)
        empty = 0 if messages else empty + 1
        found += [one for one in messages if (one.key() or b"").startswith(f"{tenant}/".encode())]
    consumer.close()
    events = [decode(AlertEvent, one.value()) for one in found]
    assert [one.key() for one in found] == [device_key(tenant, one.device) for one in events]
    return events


def test_what_was_open_before_a_change_is_cleared_at_that_time_and_nothing_else_is(kafka: str, url: str):
    create_topics(kafka, [ALERTS.name])
    tenant = f"closing-{uuid.uuid4().hex[:8]}"
    settings = JobSettings(_env_file=None, kafka=kafka, postgres=url)
    known = [pattern("changed", True), pattern("gone", False)]
    before = [
        event(tenant, "pattern:changed", "open", T0),
        event(tenant, "pattern:changed", "over", T0),
        event(tenant, "pattern:changed", "over", T0 + 7, "cleared", "expired"),
        event(tenant, "pattern:gone", "open", T0 + 1),
        event(tenant, "pattern:changed", "new", CHANGED),  # the changed pattern has raised it
        event(tenant, "pattern:other", "open", T0),  # nobody has deployed that one here
        event(tenant, "changed", "open", T0),  # a rule of the same name
    ]
    sink = AlertSink(SinkSettings(_env_file=None, postgres=url))
    assert sink.positions() == {}
    sink.write(before, {})
    sink.flush()

    wanted = ["changed: 1 open alerts cleared", "gone: 1 open alerts cleared"]
    assert closing.clear(settings, known) == wanted
    assert closing.clear(settings, known) == wanted  # the sink has not seen it yet
    events = published(kafka, tenant)
    assert len(events) == 4
    assert {(one.alert_id, one.why, one.happened, one.event_time, one.log_time) for one in events} == {
        (before[0].alert_id, "rule-changed", "cleared", CHANGED, CHANGED),
        (before[3].alert_id, "rule-deleted", "cleared", CHANGED, CHANGED),
    }

    sink.write(events, {})
    sink.flush()
    sink.disconnect()
    assert closing.clear(settings, known) == []
    with psycopg.connect(url) as connection:
        rows = connection.execute("select rule, device from alert where cleared is null order by rule").fetchall()
    assert rows == [("changed", "open"), ("pattern:changed", "new"), ("pattern:other", "open")]


def test_metrics_have_no_alerts(url: str):
    settings = JobSettings(_env_file=None, kafka="127.0.0.1:1", postgres=url)
    said = {"query": "q", "description": "d", "owner": "o", "grain": "g", "inputs": ["m"]}
    assert closing.clear(settings, [Deployed(name="m", from_ms=CHANGED, **said)]) == []
