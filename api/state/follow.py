"""Reads a whole topic from a chosen place on, in a thread, without a consumer group: for what is kept in memory.

At least once, in order within a partition. Never dies: what goes wrong is logged and tried again from the position
reached. Nothing is committed; a new process chooses its place anew.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from headwater.model.alert import AlertEvent
from headwater.model.codec import decode
from headwater.model.errors import BadRecord
from headwater.model.pack import Aggregate

log = structlog.get_logger(__name__)

BATCH = 5_000
_TIMEOUT_S = 5.0
_RETRY_S = 1.0

Noun = TypeVar("Noun", Aggregate, AlertEvent)
Ends = dict[int, tuple[int, int]]
"""Partition -> (first offset that is kept, offset after the last)."""


def client_settings(kafka: str, group: str) -> dict[str, object]:
    """Settings of every Kafka consumer of this process: quick to come back, frugal with memory, silent on stderr."""
    return {
        "bootstrap.servers": kafka,
        "group.id": group,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "reconnect.backoff.max.ms": 2_000,
        "queued.max.messages.kbytes": 16_384,
        "fetch.queue.backoff.ms": 20,
        "topic.metadata.refresh.interval.ms": 30_000,
        "logger": _quiet_logger(),
    }


def _quiet_logger() -> logging.Logger:
    logger = logging.getLogger("librdkafka")
    # One line a second for each broker that is away would drown the rest; our own log says it once.
    logger.setLevel(logging.CRITICAL)
    return logger


def ends_of(consumer: Consumer, topic: str) -> Ends:
    """First and next offset of each partition. Raises `KafkaException` if the topic or the broker is not there."""
    metadata = consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
    if metadata.error is not None:
        raise KafkaException(metadata.error)
    return {
        partition: consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_TIMEOUT_S)
        for partition in sorted(metadata.partitions)
    }


def place(message: Message) -> tuple[int, int]:
    """Partition and offset of a message that was read."""
    partition, offset = message.partition(), message.offset()
    if partition is None or offset is None:
        raise BadRecord("expected a message that was read from Kafka, got one without a place in the log")
    return partition, offset


class Decoder(Generic[Noun]):
    """Messages of a topic as records of one kind; the first that is none is logged, all are counted."""

    def __init__(self, topic: str, kind: type[Noun]) -> None:
        self._topic = topic
        self._kind: type[Noun] = kind
        self.unreadable = 0

    def record(self, message: Message) -> tuple[int, int, Noun | None]:
        """(partition, offset, record); no record in a tombstone or in bytes that nobody understands."""
        (partition, offset), value = place(message), message.value()
        if value is None:
            return partition, offset, None
        try:
            return partition, offset, decode(self._kind, value if isinstance(value, bytes) else value.encode())
        except BadRecord as error:
            self.unreadable += 1
            if self.unreadable == 1:
                log.error("unreadable record", topic=self._topic, partition=partition, offset=offset, error=str(error))
            return partition, offset, None


class Follower(threading.Thread):
    """Hands the records of `topic` to `take`, in batches, on this thread.

    `begin(consumer, ends)` chooses the first offset of each partition and is called once, when the topic can first
    be read. `take(messages)` may block: that is the back-pressure.
    """

    def __init__(
        self,
        kafka: str,
        topic: str,
        begin: Callable[[Consumer, Ends], dict[int, int]],
        take: Callable[[Sequence[Message]], None],
    ) -> None:
        super().__init__(name=f"follow-{topic}", daemon=True)
        self._kafka = kafka
        self._topic = topic
        self._begin = begin
        self._take = take
        self._halt = threading.Event()
        self._positions: dict[int, int] = {}
        self.trouble: str | None = "not started"

    def run(self) -> None:
        """Follows until stopped."""
        while not self._halt.is_set():
            try:
                self._follow()
            except Exception as error:
                if str(error) != self.trouble:
                    log.warning("cannot follow topic, trying again", topic=self._topic, error=str(error))
                self.trouble = str(error)
                self._halt.wait(_RETRY_S)

    def stop(self) -> None:
        """Asks the thread to end; it does so within a second."""
        self._halt.set()

    def _follow(self) -> None:
        consumer = Consumer(client_settings(self._kafka, "headwater-api"))
        try:
            if not self._positions:
                self._positions = self._begin(consumer, ends_of(consumer, self._topic))
            consumer.assign([TopicPartition(self._topic, p, offset) for p, offset in self._positions.items()])
            log.info("following topic", topic=self._topic, positions=self._positions)
            self.trouble = None
            while not self._halt.is_set():
                # One blocking poll and then all that has already come: neither a busy loop nor a wait for a full batch.
                first = consumer.poll(0.2)
                if first is not None:
                    self._hand_over([first, *consumer.consume(BATCH, 0)])
        finally:
            consumer.close()

    def _hand_over(self, messages: list[Message]) -> None:
        good = []
        for message in messages:
            error = message.error()
            if error is None:
                good.append(message)
            elif error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION) or error.fatal():
                raise KafkaException(error)
        if not good:
            return
        self._take(good)
        for partition, offset in map(place, good):
            self._positions[partition] = offset + 1
