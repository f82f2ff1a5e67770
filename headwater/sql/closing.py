"""Clears the alerts of a pattern that nobody would clear: those that were open when it was changed or undeployed.

A job clears what it has raised as log time goes on. One with another query knows nothing of what the one before it has
raised, and after the last one there is none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg
from confluent_kafka import KafkaException, Producer

from headwater.model import codec
from headwater.model.alert import AlertEvent, Why, pattern_rule
from headwater.model.errors import StackError
from headwater.model.settings import JobSettings
from headwater.model.stores import ALERTS
from headwater.model.topics import ALERTS as TOPIC
from headwater.sql.deployed import Deployed

_WAIT_S = 10.0


def clear(settings: JobSettings, known: Iterable[Deployed]) -> list[str]:
    """Clears what was open before each pattern's `from_ms`, at that time; what it did, a line for each pattern.

    An alert is looked for in PostgreSQL, and what is said of it again is the same: until the sink has taken it in, each
    call publishes it once more, and nothing comes of that. Raises `StackError` if PostgreSQL or Kafka is away.
    """
    patterns = {pattern_rule(one.name): one for one in known if one.kind == "pattern"}
    if not patterns:
        return []
    events = [_cleared(patterns[row[2]], row) for row in _open(settings, list(patterns))]
    due = [event for event in events if event is not None]
    if due:
        _publish(settings, due)
    counts = {rule: sum(event.rule == rule for event in due) for rule in patterns}
    return [f"{patterns[rule].name}: {count} open alerts cleared" for rule, count in counts.items() if count]


def _open(settings: JobSettings, rules: list[str]) -> list[tuple[Any, ...]]:
    query: Any = (
        f"select tenant, alert_id, rule, version, device, metric, severity, start, changed from {ALERTS} "  # noqa: S608
        "where cleared is null and rule = any(%s)"
    )
    try:
        with psycopg.connect(settings.postgres.get_secret_value(), connect_timeout=5) as connection:
            return connection.execute(query, (rules,)).fetchall()
    except psycopg.Error as error:
        raise StackError(f"PostgreSQL did not answer for open alerts: {error}", "`headwater status`.") from error


def _cleared(one: Deployed, row: tuple[Any, ...]) -> AlertEvent | None:
    tenant, alert_id, rule, version, device, metric, severity, start, changed = row
    if changed >= one.from_ms:
        return None
    why: Why = "rule-changed" if one.wanted else "rule-deleted"
    return AlertEvent(
        v=codec.VERSION,
        alert_id=alert_id,
        tenant=tenant,
        rule=rule,
        version=version,
        device=device,
        happened="cleared",
        why=why,
        severity=severity,
        event_time=one.from_ms,
        start=start,
        log_time=one.from_ms,
        metric=metric,
    )


def _publish(settings: JobSettings, events: list[AlertEvent]) -> None:
    config = {"enable.idempotence": True, "partitioner": "murmur2_random", "message.timeout.ms": int(_WAIT_S * 1_000)}
    producer = Producer({"bootstrap.servers": settings.kafka, **config})
    try:
        for event in events:
            key = codec.device_key(event.tenant, event.device)
            producer.produce(TOPIC.name, codec.encode(event), key, timestamp=event.log_time)
    except KafkaException as error:
        raise StackError(f"Kafka did not take what clears alerts: {error}", "`headwater status`.") from error
    if producer.flush(_WAIT_S + 1):
        raise StackError("Kafka did not take what clears alerts.", "`headwater status`.")
