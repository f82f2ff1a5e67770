"""How far each reader of the log is behind its end, in records."""

from __future__ import annotations

import threading

import structlog
from confluent_kafka import Consumer, TopicPartition

from api.state.cursor import Positions
from api.state.follow import client_settings, ends_of
from headwater.model.topics import PROCESSED, RAW

log = structlog.get_logger(__name__)

AGGREGATION_GROUP = "headwater-aggregation"
"""Consumer group under which the aggregation job commits its offsets, at each checkpoint."""

_EVERY_S = 2.0


class LagWatch(threading.Thread):
    """Reads every two seconds where the topics end and what the aggregation job has committed.

    `trouble` says what Kafka last answered with, None while all is well: it is this process's probe of Kafka.
    """

    def __init__(self, kafka: str) -> None:
        super().__init__(name="lag", daemon=True)
        self._kafka = kafka
        self._halt = threading.Event()
        self._processed: Positions = {}
        self._raw: Positions = {}
        self.aggregation: int | None = None
        self.trouble: str | None = "not asked yet"

    def run(self) -> None:
        """Looks until stopped."""
        consumer: Consumer | None = None
        while not self._halt.is_set():
            try:
                consumer = consumer or Consumer(client_settings(self._kafka, AGGREGATION_GROUP))
                self._look(consumer)
                self.trouble = None
            except Exception as error:
                if self.trouble != str(error):
                    log.warning("cannot read lag from Kafka, trying again", error=str(error))
                self.trouble, self.aggregation = str(error), None
            self._halt.wait(_EVERY_S)

    def stop(self) -> None:
        """Asks the thread to end."""
        self._halt.set()

    def behind(self, positions: Positions) -> int | None:
        """Records of `processed-data` that a reader at `positions` has not seen; None while the end is not known."""
        return self._behind(self._processed, positions)

    def behind_raw(self, positions: Positions) -> int | None:
        """The same for records of `raw-sensor-data`."""
        return self._behind(self._raw, positions)

    def _behind(self, ends: Positions, positions: Positions) -> int | None:
        if not ends or not positions or self.trouble:
            return None
        return sum(max(0, end - positions.get(partition, 0)) for partition, end in ends.items())

    def _look(self, consumer: Consumer) -> None:
        self._processed = {partition: high for partition, (_, high) in ends_of(consumer, PROCESSED.name).items()}
        raw = {partition: high for partition, (_, high) in ends_of(consumer, RAW.name).items()}
        self._raw = raw
        committed = consumer.committed([TopicPartition(RAW.name, partition) for partition in raw], timeout=5)
        known = {found.partition: found.offset for found in committed if found.offset >= 0}
        self.aggregation = sum(max(0, raw[p] - offset) for p, offset in known.items()) if known else None
