"""The only place where a Kafka topic is named: what each carries, how it is cut, kept and stamped."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

DAY_MS = 86_400_000


class Stamp(Enum):
    """Who stamps a record. Broker: log time is made here. Producer: log time of the source rides along."""

    BROKER = "LogAppendTime"
    PRODUCER = "CreateTime"


@dataclass(frozen=True)
class Topic:
    """One topic. `partitions` 0 means: as many as `HEADWATER_PARTITIONS` says."""

    name: str
    stamp: Stamp
    retention_ms: int
    partitions: int = 0
    max_bytes: int = 2_097_152

    @property
    def first_append(self) -> bool:
        """True where log time is made, so where pulses must beat."""
        return self.stamp is Stamp.BROKER

    def config(self) -> dict[str, str]:
        """Topic settings in Kafka's own words."""
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention_ms),
            "message.timestamp.type": self.stamp.value,
            "max.message.bytes": str(self.max_bytes),
        }


RAW = Topic("raw-sensor-data", Stamp.BROKER, 7 * DAY_MS)
PROCESSED = Topic("processed-data", Stamp.PRODUCER, 2 * DAY_MS)
CORRECTIONS = Topic("corrections", Stamp.PRODUCER, 7 * DAY_MS)
DEAD_LETTER = Topic("dead-letter", Stamp.PRODUCER, 30 * DAY_MS, partitions=1)
ALERTS = Topic("alerts", Stamp.PRODUCER, 30 * DAY_MS)
DEVICE_EVENTS = Topic("device-events", Stamp.BROKER, 30 * DAY_MS)
DEVICE_REGISTRY = Topic("device-registry", Stamp.BROKER, 30 * DAY_MS)
ALERT_RULES = Topic("alert-rules", Stamp.BROKER, 30 * DAY_MS)

ALL = (RAW, PROCESSED, CORRECTIONS, DEAD_LETTER, ALERTS, DEVICE_EVENTS, DEVICE_REGISTRY, ALERT_RULES)
