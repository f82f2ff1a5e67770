"""The topic that the corrections worker works off: how it is read, and what may stand there."""

from __future__ import annotations

from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException

from headwater.model.errors import BadRecord
from headwater.model.pack import PANE_MS, Correction
from headwater.model.settings import CorrectionsSettings

GROUP = "headwater-corrections"
"""Kafka group whose committed offsets say which corrections are done."""

_LAST_PANE = 253_402_300_790_000  # the year 9999, as in the job
_INT8 = 2**63


def check(one: Correction) -> None:
    """Raise `BadRecord` for a correction that names no pane, or nothing that a store could ever hold."""
    if one.pane % PANE_MS or not 0 <= one.pane <= _LAST_PANE:
        raise BadRecord(f"expected a pane that starts at a multiple of {PANE_MS} ms, got {one.pane}")
    if not 0 <= one.offset < _INT8 or not 0 <= one.partition < 2**31 or not one.metrics:
        raise BadRecord(f"expected a position in the log and metrics, got {one}")
    if any("\x00" in name for name in (one.tenant, one.device, *one.metrics)):
        raise BadRecord("expected names without NUL")


def open_consumer(settings: CorrectionsSettings) -> Any:
    """A consumer that commits when it is told to."""
    return Consumer(
        {
            "bootstrap.servers": settings.kafka,
            "group.id": GROUP,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "queued.max.messages.kbytes": 16_384,
            "fetch.wait.max.ms": 50,
        }
    )


def raise_if_it_matters(error: Any) -> None:
    """librdkafka reconnects by itself; what it cannot mend is a topic that is gone."""
    gone = (KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART)
    if error.fatal() or error.code() in gone:
        raise KafkaException(error)
