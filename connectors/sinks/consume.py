"""Carries a topic into a store, for as long as the process lives.

One thread, one loop: poll, decode, `write`, `tick`. Whatever fails (Kafka, the store, a partition that vanished), the
loop lets go of both ends and starts again from the stored positions, as it would after a crash.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import stamina
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException

from connectors.sinks.base import Item, Sink
from connectors.sinks.letters import Letters
from connectors.sinks.positions import Positions, log_id
from headwater.garbage import collect_rarely
from headwater.heartbeat import Heartbeat
from headwater.logs import configure
from headwater.model.errors import BadRecord
from headwater.model.settings import SinkSettings
from headwater.stopping import stop_event

_LEAST_POLL_S, _MOST_POLL_S = 0.02, 0.2
_LEAST_FETCH_MS, _MOST_FETCH_MS = 50, 500
_BATCH = 2_000
_REPORT_S = 30.0


class Runner:
    """One sink and its consumer. `run` blocks until the event is set; memory is bounded by `sink.most_pending`."""

    def __init__(self, sink: Sink, settings: SinkSettings) -> None:
        self.rows = 0
        """Rows read from Kafka by this instance (replays count again)."""
        self._sink = sink
        self._settings = settings
        self._letters = Letters(settings.kafka, sink)
        self._outages: tuple[type[Exception], ...] = (*sink.outages, KafkaException)
        self._poll_s = min(_MOST_POLL_S, max(_LEAST_POLL_S, sink.every_ms / 1000))
        # Who writes every few seconds need not ask Kafka twenty times in each.
        self._fetch_ms = min(_MOST_FETCH_MS, max(_LEAST_FETCH_MS, sink.every_ms // 4))
        self._log = structlog.get_logger(__name__).bind(sink=sink.name)
        self._reported = time.monotonic()
        self._heart = Heartbeat(sink.name)
        sink.refuse = self._letters.refused

    def run(self, stop: threading.Event) -> None:
        """Until `stop`: then what is pending is flushed. An outage never ends it."""
        while not stop.is_set():
            for attempt in stamina.retry_context(
                on=self._outages, attempts=None, timeout=None, wait_initial=0.2, wait_max=5.0
            ):
                with attempt:
                    self._session(stop)

    def _session(self, stop: threading.Event) -> None:
        """From the stored positions until `stop` or an outage, which is raised if nothing was achieved (back off)."""
        flushes = 0
        consumer = Consumer(
            {
                "bootstrap.servers": self._settings.kafka,
                "group.id": self._sink.name,
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "queued.max.messages.kbytes": 16_384,
                "fetch.wait.max.ms": self._fetch_ms,
                "fetch.min.bytes": 65_536,
            }
        )
        try:
            self._sink.log_id = log_id(self._settings.kafka, self._sink.topic)
            positions = Positions(consumer, self._sink)
            consumer.assign(positions.start())
            for _ in self._pump(consumer, positions, stop):
                flushes += 1
            self._close(positions)
        except self._outages as error:
            self._log.warning("sink.outage", error=str(error).strip(), kind=type(error).__name__, flushes=flushes)
            if not flushes and not stop.is_set():
                raise
        finally:
            self._sink.reset()
            consumer.close()

    def _pump(self, consumer: Any, positions: Positions, stop: threading.Event) -> Iterator[None]:
        """The loop; yields after each flush."""
        while not stop.is_set():
            messages = consumer.consume(num_messages=_BATCH, timeout=self._poll_s)
            if messages:
                rows, read = self._decode(messages)
                self._letters.flush()
                self._sink.write(rows, read)
            if self._sink.due():
                taken = dict(self._sink.pending.positions)
                self._sink.flush()
                positions.flushed(taken)
                yield
            self._sink.upkeep()
            self._heart.beat()
            self._report()

    def _close(self, positions: Positions) -> None:
        taken = dict(self._sink.pending.positions)
        self._sink.close()
        positions.flushed(taken, last=True)
        self._log.info("sink.closed", rows=self.rows)

    def _decode(self, messages: list[Any]) -> tuple[list[Item], dict[int, int]]:
        """The items, and the next offset of each partition. What cannot be read becomes a dead letter."""
        rows: list[Item] = []
        positions: dict[int, int] = {}
        for message in messages:
            error = message.error()
            if error is not None:
                _raise_if_it_matters(error)
                continue
            positions[message.partition()] = message.offset() + 1
            value = message.value()
            if value is None:
                continue
            try:
                row = self._sink.decode(message)
            except BadRecord as bad:
                self._letters.bad_record(value, f"partition {message.partition()} offset {message.offset()}", str(bad))
            else:
                rows.append(row)
        self.rows += len(rows)
        return rows, positions

    def _report(self) -> None:
        if time.monotonic() - self._reported >= _REPORT_S:
            self._reported = time.monotonic()
            self._log.info("sink.progress", rows=self.rows, dead_letters=self._letters.count)


def _raise_if_it_matters(error: Any) -> None:
    """librdkafka reconnects by itself; what it cannot mend is a topic or an offset that is gone."""
    gone = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._UNKNOWN_PARTITION)
    if error.fatal() or error.code() in (*gone, KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART):
        raise KafkaException(error)


def run(sink: Sink, settings: SinkSettings, *beside: Sink) -> None:
    """The process of a sink: logs to stdout, SIGTERM and SIGINT flush and end it with 0.

    Sinks of little work may run `beside`, each in a thread. One that fails in an unforeseen way ends the process with
    1, as it would alone.
    """
    configure(settings.log_format)
    stop = stop_event()
    failed: list[str] = []

    def run_beside(other: Sink) -> None:
        try:
            Runner(other, settings).run(stop)
        except Exception:
            structlog.get_logger(__name__).exception("sink.failed", sink=other.name)
            failed.append(other.name)
            stop.set()

    threads = [threading.Thread(target=run_beside, args=(other,), name=other.name) for other in beside]
    for thread in threads:
        thread.start()
    collect_rarely()
    try:
        Runner(sink, settings).run(stop)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failed:
        sys.exit(1)
