"""Clears the alerts of patterns: when their time is over, and when their pattern was changed or undeployed.

A match is over when it is found, so no reading can clear its alert. When it is cleared, and what is said of it, follows
from the log and from what was deployed alone, whenever this is called: only how early it is known depends on that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg
from confluent_kafka import KafkaError, Producer

from headwater.model import codec
from headwater.model.alert import AlertEvent, Why, pattern_rule
from headwater.model.errors import StackError
from headwater.model.settings import JobSettings
from headwater.model.stores import ALERTS
from headwater.model.topics import ALERTS as TOPIC
from headwater.sql.deployed import Deployed

_WAIT_S = 10.0


def clear(settings: JobSettings, known: Iterable[Deployed], now: int) -> list[str]:
    """Clears what is due at `now` (epoch ms); what it did, a line for each pattern.

    An alert is due `clear_ms` after it was raised, in log time; one that was open before its pattern's `from_ms` at
    that time. It is looked for in PostgreSQL, and what is said of it again is the same: until the sink has taken it in,
    each call publishes it once more, and nothing comes of that. Raises `StackError` if PostgreSQL or Kafka is away.
    """
    patterns = {pattern_rule(one.name): one for one in known if one.kind == "pattern"}
    if not patterns:
        return []
    events = [_cleared(patterns[row[2]], row, now) for row in _open(settings, list(patterns))]
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


def _cleared(one: Deployed, row: tuple[Any, ...], now: int) -> AlertEvent | None:
    tenant, alert_id, rule, version, device, metric, severity, start, changed = row
    at, why = _end(one, changed)
    if at > now:
        return None
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
        event_time=at,
        start=start,
        log_time=at,
        metric=metric,
    )


def _end(one: Deployed, raised: int) -> tuple[int, Why]:
    """When an alert raised at that log time ends, and why."""
    if raised >= one.from_ms:
        return raised + one.clear_ms, "expired"
    return one.from_ms, "rule-changed" if one.wanted else "rule-deleted"


def _publish(settings: JobSettings, events: list[AlertEvent]) -> None:
    failed: list[KafkaError] = []
    producer = Producer(
        {
            "bootstrap.servers": settings.kafka,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "message.timeout.ms": int(_WAIT_S * 1_000),
            "on_delivery": lambda error, _: failed.append(error) if error else None,
        }
    )
    for event in events:
        key = codec.device_key(event.tenant, event.device)
        producer.produce(TOPIC.name, codec.encode(event), key, timestamp=event.log_time)
    left = producer.flush(_WAIT_S + 1)
    if left or failed:
        why = failed[0] if failed else "no answer"
        raise StackError(f"Kafka did not take what clears alerts ({why}).", "`headwater status`.")
