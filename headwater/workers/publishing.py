"""The way out of the corrections worker: rows as the aggregation job writes them, and dead letters."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterable
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from connectors.doors.core import producer_config
from headwater.clock import now_ms
from headwater.model import codec
from headwater.model.pack import Aggregate, Correction, DeadLetter
from headwater.model.topics import CORRECTIONS, DEAD_LETTER, PROCESSED
from headwater.workers import corrections_meters as meters

DOOR = CORRECTIONS.name
"""Names the worker in dead letters."""

_MOST_UNREPORTED = 50_000
_POLL_S = 0.1


class Stopped(Exception):
    """The process was asked to end while it waited. What was not committed is done again by the next one."""


class Publisher:
    """One producer. Nothing counts as written before `settle` has returned.

    Rows carry the key and the partition that Flink's `upsert-kafka` gives them, so that all versions of a row lie in
    one order, and their `as_of` as the record's stamp. While Kafka is away calls wait, and raise `Stopped` if the
    process is to end. A record that Kafka refuses for good raises `KafkaException`.
    """

    def __init__(self, bootstrap: str, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._failed: KafkaError | None = None
        self._producer = Producer(
            {**producer_config(bootstrap), "delivery.report.only.error": True, "on_delivery": self._reported}
        )
        self._log = structlog.get_logger(__name__)

    def rows(self, rows: Iterable[Aggregate]) -> int:
        """Hands rows to Kafka; returns how many. Waits while too many are unreported: memory stays bounded."""
        count = 0
        for count, row in enumerate(rows, 1):  # noqa: B007  # the last number is the answer
            self._produce(PROCESSED.name, codec.encode(row), codec.row_key(row), row.as_of)
        meters.ROWS.inc(count)
        return count

    def refuse(self, one: Correction, reason: str, detail: str) -> None:
        """A correction that cannot be made becomes a dead letter."""
        self._letter(codec.encode(one), reason, detail, one.tenant, one.device)

    def bad_record(self, value: bytes, detail: str) -> None:
        """A record of `corrections` that cannot be read becomes a dead letter."""
        self._letter(value, "bad-record", detail, "", "")

    def settle(self) -> None:
        """Everything handed over is on Kafka when this returns."""
        while self._producer.flush(_POLL_S):
            self._look()
        self._look(stop_matters=False)

    def _produce(self, topic: str, value: bytes, key: bytes, stamp_ms: int) -> None:
        while len(self._producer) >= _MOST_UNREPORTED:
            self._producer.poll(_POLL_S)
            self._look()
        self._producer.produce(topic, value, key, timestamp=stamp_ms)

    def _letter(self, value: bytes, reason: str, detail: str, tenant: str, device: str) -> None:
        now = now_ms()
        letter = DeadLetter(
            v=codec.VERSION,
            reason=reason,
            detail=detail,
            topic=CORRECTIONS.name,
            tenant=tenant,
            device=device,
            door=DOOR,
            received=now,
            payload=base64.b64encode(value).decode(),
        )
        key = codec.device_key(tenant, device) if tenant else b""
        self._produce(DEAD_LETTER.name, codec.encode(letter), key, now)
        meters.REFUSED.labels(reason).inc()
        self._log.warning("corrections.refused", reason=reason, detail=detail, tenant=tenant, device=device)

    def _reported(self, error: KafkaError | None, _message: Any) -> None:
        if error is not None:
            self._failed = error

    def _look(self, stop_matters: bool = True) -> None:
        if self._failed is not None:
            failed, self._failed = self._failed, None
            raise KafkaException(failed)
        if stop_matters and self._stopping.is_set():
            raise Stopped
