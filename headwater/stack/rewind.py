"""Rewind and rebuild: from where a job with empty state reads again, and when it has caught up.

The last good log time is read from the log: it is that of the records up to which the job has committed, which it does
with each completed checkpoint. From there back lie the panes that were open then; a pane takes readings from `ahead_ms`
before its start to `horizon_ms` after its end. Panes that were closed by then have another owner (corrections), so
their rows keep their generation.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # not marked as exports

from headwater.model import codec, generation
from headwater.model.errors import StackError
from headwater.model.pack import PANE_MS
from headwater.model.settings import JobSettings
from headwater.model.topics import DEVICE_REGISTRY, PROCESSED, RAW
from headwater.stack.record import Rebuild, Record

_ASK_S = 10.0
_COMING_UP = frozenset(
    (KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.NOT_COORDINATOR)
)
_WAIT_MS = 1_000
"""How long a reading waits for log time at most, when both topics have been read past it."""
_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_NEWEST: OffsetSpec = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]


class RawLog:
    """What the keeper asks of Kafka. Every call raises `StackError` while Kafka does not answer.

    `group` is the consumer group under which the job commits its offsets.
    """

    def __init__(self, settings: JobSettings, group: str) -> None:
        self._kafka, self._group = settings.kafka, group
        self._admin = AdminClient({"bootstrap.servers": settings.kafka, "log_level": 0})

    def ends(self, topic: str = RAW.name) -> dict[int, int]:
        """The next offset of each partition."""
        return {partition: offset for partition, (offset, _) in self._offsets(topic, _LATEST).items()}

    def newest(self) -> int:
        """The largest log time (epoch ms) of all raw partitions; 0 if nothing is there."""
        found = self._offsets(RAW.name, _NEWEST)
        return max((stamp for _, stamp in found.values()), default=0)

    def from_time(self, log_time: int) -> tuple[dict[int, int], bool]:
        """The first offset at or after a log time, by partition; and whether retention has removed records after it."""
        firsts = self._offsets(RAW.name, _EARLIEST)
        found = self._offsets(RAW.name, OffsetSpec.for_timestamp(log_time))
        ends = self.ends()
        starts = {p: offset if offset >= 0 else ends[p] for p, (offset, _) in found.items()}
        return starts, any(0 < first == starts[p] for p, (first, _) in firsts.items())

    def committed(self, topic: str = RAW.name) -> dict[int, int]:
        """Up to where the job has read, by partition; of those that it has committed."""
        asked = ConsumerGroupTopicPartitions(self._group, [TopicPartition(topic, p) for p in self.ends(topic)])
        until = time.monotonic() + _ASK_S
        while True:
            try:
                answers = self._admin.list_consumer_group_offsets([asked], request_timeout=_ASK_S)
                answer = answers[self._group].result()
                return {at.partition: at.offset for at in answer.topic_partitions if at.offset >= 0}
            except KafkaException as error:
                # A broker that has just come up still loads what its groups had committed.
                if error.args[0].code() not in _COMING_UP or time.monotonic() > until:
                    raise _away(error) from error
                time.sleep(0.2)

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Says where the job begins anew, so that what it had read before is not taken for what it has read again."""
        places = [TopicPartition(RAW.name, partition, offset) for partition, offset in offsets.items()]
        try:
            request = [ConsumerGroupTopicPartitions(self._group, places)]
            self._admin.alter_consumer_group_offsets(request, request_timeout=_ASK_S)[self._group].result()
        except KafkaException as error:
            raise _away(error) from error

    def reached(self) -> int | None:
        """The last good log time (epoch ms): the least of what the job has not read yet; None if it never committed.

        Of a partition that it has not committed, it has read nothing. Readings wait for the registry before they count
        in the rows of fleets, and a moment longer, so the registry counts too where the job reads it.
        """
        found = []
        for topic in (RAW.name, DEVICE_REGISTRY.name):
            committed, ends = self.committed(topic), self.ends(topic)
            if committed:
                firsts = self._offsets(topic, _EARLIEST)
                places = {p: committed.get(p, firsts[p][0]) for p in ends}
                open_at = {p: offset for p, offset in places.items() if offset < ends[p]}
                found.append(min(self._stamps(topic, open_at).values(), default=self.newest()))
            elif topic == RAW.name:
                return None
        return min(found) - _WAIT_MS

    def mark(self, shown: int) -> None:
        """Writes a marker to every partition of `processed-data`."""
        producer = Producer({"bootstrap.servers": self._kafka, "acks": "all", "enable.idempotence": True})
        partitions, log_time = self.ends(PROCESSED.name), self.newest()
        for partition in partitions:
            row = generation.marker(partition, shown, log_time)
            key = json.dumps({"tenant": row.tenant, "device": row.device, "metric": row.metric, "pane": row.pane})
            producer.produce(PROCESSED.name, codec.encode(row), key, partition=partition, timestamp=log_time)
        if producer.flush(_ASK_S):
            raise StackError("Kafka did not take the markers of a generation.", "see `headwater logs kafka`.")

    def _stamps(self, topic: str, offsets: Mapping[int, int]) -> dict[int, int]:
        """The log time of the record at (or next after) each offset."""
        consumer = Consumer(
            {
                "bootstrap.servers": self._kafka,
                "group.id": "headwater-keeper",
                "log_level": 0,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        found: dict[int, int] = {}
        try:
            for partition, offset in offsets.items():
                consumer.assign([TopicPartition(topic, partition, offset)])
                message = consumer.poll(_ASK_S)
                if message is None or message.error() is not None:
                    raise StackError(f"Kafka did not give the record {offset} of {topic}-{partition}.")
                found[partition] = message.timestamp()[1]
        finally:
            consumer.close()
        return found

    def _offsets(self, topic: str, spec: OffsetSpec) -> dict[int, tuple[int, int]]:
        try:
            partitions = self._admin.list_topics(topic, timeout=_ASK_S).topics[topic].partitions
            asked = {TopicPartition(topic, partition): spec for partition in partitions}
            found = self._admin.list_offsets(asked, request_timeout=_ASK_S)
            answers = {at.partition: future.result() for at, future in found.items()}
        except KafkaException as error:
            raise _away(error) from error
        return {partition: (answer.offset, answer.timestamp) for partition, answer in answers.items()}


def _away(error: KafkaException) -> StackError:
    return StackError(f"Kafka does not answer: {error}", "see `headwater logs kafka`.")


def plan_rewind(known: Record, log: RawLog, settings: JobSettings, good_ms: int, changed: bool) -> Rebuild:
    """What is to be read again after `good_ms`, the last good log time (0: everything), and notes it in `known`.

    A rebuild that has not caught up is gone on with, from where it began. With `changed` the rows of all panes that
    were open at the last good log time get a generation of a new epoch.
    """
    before = known.rebuild
    open_from = max(0, good_ms - settings.horizon_ms - PANE_MS)
    from_ms = max(0, open_from - settings.ahead_ms)
    starts, shortened = log.from_time(from_ms)
    if shortened:  # what is older than the log cannot be counted again: only panes that begin from now on are whole
        open_from = log.newest() + settings.ahead_ms
    from_pane = open_from + -open_from % PANE_MS
    if before is not None:
        from_ms, from_pane = before.from_ms, before.from_pane
        starts, _ = log.from_time(from_ms)
    raised = before.raised if before else 0
    if changed:
        raised = generation.raised(max(known.generation, settings.generation))
        earlier = known.generations or [(0, settings.generation)]
        kept = [one for one in earlier if one[0] < from_pane]
        least = from_ms - settings.horizon_ms - PANE_MS  # no row of an older pane will be written again
        while len(kept) > 1 and kept[1][0] <= least:
            del kept[0]
        known.generations = [*kept, (from_pane, raised)]
    ends, registry_ends = (
        {str(p): end for p, end in log.ends(name).items()} for name in (RAW.name, DEVICE_REGISTRY.name)
    )
    known.rebuild, known.raise_next = Rebuild(from_ms, from_pane, ends, raised, registry_ends), False
    log.commit(starts)
    return known.rebuild


def has_caught_up(rebuild: Rebuild, committed: Mapping[int, int], registry: Mapping[int, int]) -> bool:
    """Whether everything that lay in the log when the rebuild began has been read again, and its rows published.

    `committed` and `registry` are what the job has committed of both topics; notes in `rebuild` what it was when both
    had been read. Flink commits an offset when a checkpoint is complete: then every sink has flushed what came before
    it. But readings wait for log time before they count in the rows of fleets. The sources tell of log time many times
    between two checkpoints, so at the next one these rows are out.
    """
    if not _passed(rebuild.ends, committed) or not _passed(rebuild.registry_ends, registry):
        return False
    if not rebuild.passed:
        rebuild.passed = {str(partition): offset for partition, offset in committed.items()}
        return False
    return any(committed.get(int(partition), 0) > offset for partition, offset in rebuild.passed.items())


def _passed(ends: Mapping[str, int], committed: Mapping[int, int]) -> bool:
    return all(committed.get(int(partition), 0) >= end for partition, end in ends.items())
