"""Where a sink reads on, and when it may say that it need not read that again."""

from __future__ import annotations

import time
from typing import Any

import structlog
from confluent_kafka import OFFSET_BEGINNING, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.sinks.base import Sink
from headwater.clock import now_ms
from headwater.model.topics import Topic

_ASK_S = 10.0
_COMMIT_S = 2.0


class Positions:
    """The positions of one session: found at its start, committed as it goes where the store does not keep them."""

    def __init__(self, consumer: Any, sink: Sink) -> None:
        self._consumer = consumer
        self._sink = sink
        self._topic = sink.topic.name
        self._flushed: dict[int, int] = {}
        self._settled: dict[int, int] = {}
        self._committed_at = time.monotonic()
        self._log = structlog.get_logger(__name__).bind(sink=sink.name)

    def start(self) -> list[TopicPartition]:
        """Where to read on, in every partition. Offsets that the log does not have are replaced, with a warning.

        Raises `KafkaException` while Kafka or the topic is not there, or an outage of the sink.
        """
        partitions = self._partitions()
        stored = self._sink.positions()
        if not self._sink.holds_data():
            stored = self._refill(partitions)
            # Else one that dies before it is full would go on where the lost store was.
            self._commit(stored)
        elif not self._sink.keeps_positions:
            asked = [self._at(partition) for partition in partitions]
            stored = {at.partition: at.offset for at in self._consumer.committed(asked, _ASK_S) if at.offset >= 0}
        start = [self._within_the_log(partition, stored.get(partition)) for partition in partitions]
        self._log.info("sink.start", positions={at.partition: at.offset for at in start})
        return start

    def flushed(self, positions: dict[int, int], last: bool = False) -> None:
        """Note what the store has taken, and commit what it took two seconds ago or, with `last`, everything.

        A store that syncs its disk once a second (Valkey) may lose what it took since: that must be read again.
        """
        if self._sink.keeps_positions:
            return
        if self._sink.holds_rows_back():
            return
        self._flushed.update(positions)
        if last:
            self._commit(self._flushed)
        elif time.monotonic() - self._committed_at >= _COMMIT_S:
            self._commit(self._settled)
            self._settled = dict(self._flushed)

    def _commit(self, positions: dict[int, int]) -> None:
        if positions:
            self._consumer.commit(offsets=[self._at(*each) for each in positions.items()], asynchronous=False)
        self._committed_at = time.monotonic()

    def _partitions(self) -> list[int]:
        topic = self._consumer.list_topics(self._topic, timeout=_ASK_S).topics.get(self._topic)
        if topic is None or topic.error is not None or not topic.partitions:
            raise KafkaException(f"expected the topic {self._topic}, which is not there: create the topics first")
        return sorted(topic.partitions)

    def _refill(self, partitions: list[int]) -> dict[int, int]:
        """Where to begin for an empty store: the sink knows how much of the log it takes to fill it."""
        if (width := self._sink.refill_ms) is None:
            self._log.warning("sink.empty-store", detail="it holds no data: reading all of the log again")
            return {partition: self._ends(partition)[0] for partition in partitions}
        self._log.warning("sink.empty-store", detail=f"it holds no data: reading the last {width} ms again")
        since = now_ms() - width
        found = self._consumer.offsets_for_times([self._at(partition, since) for partition in partitions], _ASK_S)
        return {at.partition: at.offset if at.offset >= 0 else self._ends(at.partition)[1] for at in found}

    def _within_the_log(self, partition: int, offset: int | None) -> TopicPartition:
        if offset is None:
            return self._at(partition, OFFSET_BEGINNING)
        first, end = self._ends(partition)
        if first <= offset <= end:
            return self._at(partition, offset)
        self._log.warning(
            "sink.position-out-of-range",
            partition=partition,
            detail=f"expected an offset from {first} to {end}, got {offset}: the topic was reset or its retention is "
            f"past. Reading from {first}; rows that the log no longer has are not in the store",
        )
        return self._at(partition, first)

    def _ends(self, partition: int) -> tuple[int, int]:
        first, end = self._consumer.get_watermark_offsets(self._at(partition), timeout=_ASK_S)
        return int(first), int(end)

    def _at(self, partition: int, offset: int = OFFSET_BEGINNING) -> TopicPartition:
        return TopicPartition(self._topic, partition, offset)


def log_id(bootstrap: str, topic: Topic) -> str:
    """The id of the topic, which no other of its name has. Raises `KafkaException` if it is not there."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})  # it grumbles each time that it is let go
    answer = admin.describe_topics(TopicCollection([topic.name]), request_timeout=_ASK_S)
    return str(answer[topic.name].result().topic_id)
