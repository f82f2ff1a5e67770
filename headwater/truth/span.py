"""A range of the log: found by log time, read to its end, and gone through once.

The tools that prove something (saved logs, replay, audit) read the log here, so that they speak of the same records.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from headwater.model.errors import StackError

ASK_S = 20.0
_BATCH = 5_000
_POLL_S = 0.1
_STUCK_S = 30.0


class Entry(NamedTuple):
    """A record as it lies in the log. `log_time` is UTC epoch ms."""

    partition: int
    offset: int
    log_time: int
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value: bytes | None


@dataclass(frozen=True)
class Span:
    """Records `first[p]` up to, not including, `end[p]` of each partition of a topic; `log_id` is Kafka's topic id."""

    topic: str
    log_id: str
    first: Mapping[int, int]
    end: Mapping[int, int]

    @property
    def records(self) -> int:
        """How many offsets lie in it."""
        return sum(max(0, self.end[partition] - self.first[partition]) for partition in self.end)


class Reader:
    """Reads spans of topics; one connection. Every call raises `StackError` if Kafka or the topic is not there."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})
        self._consumer: Any = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "headwater-truth",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 50,
                "queued.max.messages.kbytes": 65_536,
                "log_level": 3,
            }
        )

    def close(self) -> None:
        """Lets go of the connection."""
        self._consumer.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ends(self, topic: str) -> dict[int, tuple[int, int]]:
        """The oldest offset and the next one of each partition."""
        try:
            found = self._consumer.list_topics(topic, ASK_S).topics[topic]
            if found.error is not None:
                raise StackError(f"The topic {topic} is not there: {found.error}.", "`headwater status`.")
            return {
                partition: self._consumer.get_watermark_offsets(TopicPartition(topic, partition), ASK_S)
                for partition in sorted(found.partitions)
            }
        except KafkaException as error:
            raise StackError(f"Kafka does not answer: {error}.", "`headwater status`.") from error

    def log_id(self, topic: str) -> str:
        """The id of the topic, which no other of its name has."""
        try:
            answer = self._admin.describe_topics(TopicCollection([topic]), request_timeout=ASK_S)
            return str(answer[topic].result().topic_id)
        except KafkaException as error:
            raise StackError(f"The topic {topic} is not there: {error}.", "`headwater status`.") from error

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """The next offsets that a consumer group has committed; partitions without one are left out."""
        consumer: Any = Consumer({"bootstrap.servers": self._bootstrap, "group.id": group, "log_level": 3})
        try:
            asked = [TopicPartition(topic, partition) for partition in self.ends(topic)]
            return {one.partition: one.offset for one in consumer.committed(asked, ASK_S) if one.offset >= 0}
        except KafkaException as error:
            raise StackError(f"Kafka does not answer: {error}.", "`headwater status`.") from error
        finally:
            consumer.close()

    def at(self, topic: str, log_time: int) -> dict[int, int]:
        """The first offset of each partition that was appended at or after `log_time` (epoch ms); the end if none."""
        ends = self.ends(topic)
        try:
            found = self._consumer.offsets_for_times(
                [TopicPartition(topic, one, max(0, log_time)) for one in ends], ASK_S
            )
        except KafkaException as error:
            raise StackError(f"Kafka does not answer: {error}.", "`headwater status`.") from error
        return {one.partition: one.offset if one.offset >= 0 else ends[one.partition][1] for one in found}

    def span(self, topic: str, from_ms: int | None = None, to_ms: int | None = None) -> Span:
        """What was appended at or after `from_ms` and before `to_ms` (log time); None: as far as the log goes now."""
        ends = self.ends(topic)
        first = self.at(topic, from_ms) if from_ms is not None else {one: low for one, (low, _) in ends.items()}
        end = self.at(topic, to_ms) if to_ms is not None else {one: high for one, (_, high) in ends.items()}
        return Span(topic, self.log_id(topic), first, {one: max(end[one], first[one]) for one in end})

    def read(self, span: Span) -> Iterator[Entry]:
        """Every record of the span, each partition in its order, the partitions interleaved.

        Raises `StackError` if retention removes records while they are read, or if Kafka stops to answer.
        """
        left = {partition: end for partition, end in span.end.items() if span.first[partition] < end}
        if not left:
            return
        consumer = self._consumer
        consumer.assign([TopicPartition(span.topic, partition, span.first[partition]) for partition in left])
        try:
            heard = time.monotonic()
            while left:
                messages = consumer.consume(_BATCH, _POLL_S)  # waits as long for a batch that is not full
                if messages:
                    heard = time.monotonic()
                elif time.monotonic() - heard > _STUCK_S:
                    raise StackError(f"Kafka gave nothing of {span.topic} for {_STUCK_S:.0f} s.", "`headwater status`.")
                for message in messages:
                    if message.error() is not None:
                        raise StackError(f"{span.topic} could not be read: {message.error()}.", "try again.")
                    partition, offset = message.partition(), message.offset()
                    if offset < left.get(partition, -1):
                        yield entry_of(message)
                        if offset + 1 == left[partition]:
                            del left[partition]
        finally:
            consumer.unassign()


class Tail:
    """What has come to topics since they were last asked for, from the log time `from_ms` (epoch ms; None: all)."""

    def __init__(self, reader: Reader, from_ms: int | None = None) -> None:
        self._reader, self._from_ms = reader, from_ms
        self._ends: dict[str, Mapping[int, int]] = {}

    def new(self, topic: str) -> Span:
        """The records of a topic between the last call and now."""
        whole = self._reader.span(topic, self._from_ms)
        span = Span(topic, whole.log_id, self._ends.get(topic, whole.first), whole.end)
        self._ends[topic] = whole.end
        return span


def entry_of(message: Any) -> Entry:
    """The record that a Kafka message is."""
    headers = tuple(message.headers() or ())
    return Entry(message.partition(), message.offset(), message.timestamp()[1], message.key(), headers, message.value())
