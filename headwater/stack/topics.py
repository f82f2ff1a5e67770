"""The topics as designed, made before anybody writes: idempotent, and a topic that differs is brought in line."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # the package does not mark its exports
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from headwater.model.errors import StackError
from headwater.model.settings import LogSettings, Settings
from headwater.model.topics import ALL, Limits, Topic

TIMEOUT_S = 30.0


def create_all(settings: Settings) -> list[str]:
    """Makes each missing topic and sets the configuration of the others; returns the names of the new ones.

    Raises `StackError` if a topic keyed by device has another number of partitions than the setting: the keys of
    devices would move to other partitions.
    """
    admin = AdminClient({"bootstrap.servers": settings.kafka, "log_level": 0})
    present = admin.list_topics(timeout=TIMEOUT_S).topics
    new = [topic for topic in ALL if topic.name not in present]
    wanted = [
        NewTopic(
            topic.name,
            partitions(topic, settings),
            replication_factor=_replicas(admin),
            config=configuration(topic, settings),
        )
        for topic in new
    ]
    for name, future in (admin.create_topics(wanted, operation_timeout=TIMEOUT_S) if wanted else {}).items():
        try:
            future.result()
        except KafkaException as error:
            # Another start was quicker: that is what idempotent means here.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise StackError(
                    f"The topic {name} could not be made: {error}", "see `headwater logs kafka`."
                ) from error
    old = [topic for topic in ALL if topic.name in present]
    for topic in old:
        _check(topic, len(present[topic.name].partitions), partitions(topic, settings))
    _configure(admin, old, settings)
    return [topic.name for topic in new]


def partitions(topic: Topic, settings: Settings) -> int:
    """How many partitions the topic is to have."""
    return topic.partitions or settings.partitions


def configuration(topic: Topic, settings: Settings) -> dict[str, str]:
    """How the topic is to be set, with the limits of `LogSettings`."""
    keep, kind = LogSettings(), topic.keep.value
    limits = Limits(getattr(keep, f"keep_{kind}_log_mb"), getattr(keep, f"keep_{kind}_log_hours"))
    return topic.config(limits, partitions(topic, settings))


def _replicas(admin: AdminClient) -> int:
    return min(3, len(admin.list_topics(timeout=TIMEOUT_S).brokers))


def _check(topic: Topic, found: int, wanted: int) -> None:
    if found != wanted:
        raise StackError(
            f"The topic {topic.name} has {found} partitions, HEADWATER_PARTITIONS wants {wanted}.",
            f"set HEADWATER_PARTITIONS={found} (partitions of a topic never change), or `make reset`.",
        )


def _configure(admin: AdminClient, topics: list[Topic], settings: Settings) -> None:
    resources = [
        ConfigResource(
            ResourceType.TOPIC,
            topic.name,
            incremental_configs=[
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                for name, value in configuration(topic, settings).items()
            ],
        )
        for topic in topics
    ]
    for future in (admin.incremental_alter_configs(resources) if resources else {}).values():
        future.result(timeout=TIMEOUT_S)
