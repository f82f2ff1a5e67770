"""Where topics begin and end, and where a worker has come to."""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaException, TopicPartition

from headwater.model.topics import Topic

ASK_S = 10.0


def ends(consumer: Any, topic: Topic) -> dict[int, tuple[int, int]]:
    """The oldest offset and the next one of each partition. Raises `KafkaException` if the topic is not there."""
    found = consumer.list_topics(topic.name, timeout=ASK_S).topics.get(topic.name)
    if found is None or found.error is not None or not found.partitions:
        raise KafkaException(f"expected the topic {topic.name}, which is not there: create the topics first")
    return {
        partition: consumer.get_watermark_offsets(TopicPartition(topic.name, partition), timeout=ASK_S)
        for partition in sorted(found.partitions)
    }


def next_offsets(consumer: Any, topic: Topic) -> dict[int, int]:
    """The offset that the next record of each partition will have."""
    return {partition: end for partition, (_, end) in ends(consumer, topic).items()}


def reached(at: dict[int, int], goal: dict[int, int]) -> bool:
    """True if every partition of `goal` has been passed; one that is empty need not be."""
    return all(at.get(partition, 0) >= offset for partition, offset in goal.items())


def committed(consumer: Any, topic: Topic) -> list[TopicPartition]:
    """Where the consumer's group reads on: at what it has committed, or at the oldest record if that is not there."""
    known = ends(consumer, topic)
    asked = [TopicPartition(topic.name, partition) for partition in known]
    start = []
    for place in consumer.committed(asked, ASK_S):
        first, end = known[place.partition]
        offset = place.offset if first <= place.offset <= end else first
        start.append(TopicPartition(topic.name, place.partition, offset))
    return start
