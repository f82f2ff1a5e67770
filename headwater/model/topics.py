"""The only place where a Kafka topic is named: what each carries, how it is cut, kept and stamped."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

HOUR_MS = 3_600_000
LEAST_SEGMENT, MOST_SEGMENT = 4_194_304, 134_217_728


class Stamp(Enum):
    """Who stamps a record. Broker: log time is made here. Producer: log time of the source rides along."""

    BROKER = "LogAppendTime"
    PRODUCER = "CreateTime"


class Keep(Enum):
    """Whose limits a topic has: HEADWATER_KEEP_<this>_LOG_MB, of all its partitions, and _HOURS, whichever is less."""

    RAW = "raw"
    PROCESSED = "processed"
    REGISTRY = "registry"
    RULES = "rules"
    OTHER = "other"


@dataclass(frozen=True)
class Limits:
    """How much of a topic is kept."""

    mb: int
    hours: int


@dataclass(frozen=True)
class Topic:
    """One topic. `partitions` 0 means: as many as `HEADWATER_PARTITIONS` says; `keep`: whose limits it has."""

    name: str
    stamp: Stamp
    keep: Keep
    partitions: int = 0
    max_bytes: int = 2_097_152

    @property
    def first_append(self) -> bool:
        """True where log time is made, so where pulses must beat."""
        return self.stamp is Stamp.BROKER

    def config(self, limits: Limits, partitions: int) -> dict[str, str]:
        """Topic settings in Kafka's own words: cut so that what is past its limit goes in steps of an eighth."""
        share = limits.mb * 1_000_000 // partitions
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(limits.hours * HOUR_MS),
            "retention.bytes": str(share),
            "segment.bytes": str(min(MOST_SEGMENT, max(LEAST_SEGMENT, share // 8))),
            "message.timestamp.type": self.stamp.value,
            "max.message.bytes": str(self.max_bytes),
        }


RAW = Topic("raw-sensor-data", Stamp.BROKER, Keep.RAW)
PROCESSED = Topic("processed-data", Stamp.PRODUCER, Keep.PROCESSED)
CORRECTIONS = Topic("corrections", Stamp.PRODUCER, Keep.OTHER)
DEAD_LETTER = Topic("dead-letter", Stamp.PRODUCER, Keep.OTHER, partitions=1)
ALERTS = Topic("alerts", Stamp.PRODUCER, Keep.OTHER)
DEVICE_EVENTS = Topic("device-events", Stamp.BROKER, Keep.OTHER)
DEVICE_ATTRIBUTES = Topic("device-attributes", Stamp.PRODUCER, Keep.OTHER)
DEVICE_REGISTRY = Topic("device-registry", Stamp.BROKER, Keep.REGISTRY)
ALERT_RULES = Topic("alert-rules", Stamp.BROKER, Keep.RULES)
ENRICHED = Topic("enriched-data", Stamp.PRODUCER, Keep.OTHER)

ALL = (
    RAW,
    PROCESSED,
    CORRECTIONS,
    DEAD_LETTER,
    ALERTS,
    DEVICE_EVENTS,
    DEVICE_ATTRIBUTES,
    DEVICE_REGISTRY,
    ALERT_RULES,
    ENRICHED,
)
