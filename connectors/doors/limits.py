"""What a door takes and what it refuses by size or age: one object, made from the settings once."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.model.settings import DoorSettings

MAX_NAME = 128
"""Most characters of the name of a tenant, a device or a metric."""


@dataclass(frozen=True)
class Limits:
    """The limits of a door. Times in ms, sizes as in `headwater.model.settings.DoorSettings`."""

    ahead_ms: int
    oldest_ms: int
    max_bytes: int
    max_readings: int
    max_metrics: int
    max_text: int
    pack_cap: int

    @classmethod
    def of(cls, settings: DoorSettings) -> Limits:
        """The limits that the settings of a door give."""
        return cls(
            ahead_ms=settings.ahead_ms,
            oldest_ms=settings.oldest_ms,
            max_bytes=settings.max_bytes,
            max_readings=settings.max_readings,
            max_metrics=settings.max_metrics,
            max_text=settings.max_text,
            pack_cap=settings.pack_cap,
        )


def control_free(text: str) -> bool:
    """True if `text` holds no control character (C0, DEL, C1) and no half of a surrogate pair."""
    if text.isprintable():
        return True
    return not any(c < " " or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" for c in text)


def name_good(name: str) -> bool:
    """True if `name` may name a metric: neither empty nor too long, and printable."""
    return 0 < len(name) <= MAX_NAME and control_free(name)


def name_allowed(name: str) -> bool:
    """True if `name` may name a tenant or a device: what MQTT and Kafka keys can carry, and no leading `_`.

    The same rule stands in `headwater.registry`, which refuses such names before a token is made.
    """
    return name_good(name) and name[0] != "_" and not set(name) & set("/+#")
