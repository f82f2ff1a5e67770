"""An episode of an alert, folded from its events: what stores and the API keep of an alert.

Each part of it is the largest or the smallest of something, so `joined` gives the same in whatever order events come
and however often: a replay changes nothing. An episode that was cleared stays so; no event brings it back.
"""

from __future__ import annotations

from typing import get_args

import msgspec

from headwater.model.alert import AlertEvent, Happened, Why
from headwater.model.rule import SEVERITIES, Severity, Value

HAPPENED: tuple[Happened, ...] = get_args(Happened)
"""In the order in which they can follow each other at one time."""


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """An alert from raised to cleared, as far as its events are known. All times are UTC epoch ms.

    `worst` and `raised` come first and `alert_id` after them, where the script that joins in the store looks for them.
    `raised` is the event time of what raised it, None while that event has not been seen; `cleared` of what cleared it,
    None while it is active. The rest is that of the newest event: `changed` is its log time.
    """

    worst: Severity
    raised: int | None
    alert_id: str
    cleared: int | None
    v: int
    tenant: str
    rule: str
    version: int
    device: str
    metric: str
    severity: Severity
    start: int
    changed: int
    event_time: int
    happened: Happened
    why: Why
    value: Value | None
    level: float | None

    @property
    def order(self) -> tuple[int, int, int, int]:
        """Which of two events of an episode is the newer one: by log time, event time, and what can only follow."""
        return self.changed, self.event_time, HAPPENED.index(self.happened), SEVERITIES.index(self.severity)


def episode(event: AlertEvent) -> Episode:
    """What one event alone says of its episode."""
    return Episode(
        worst=event.severity,
        raised=event.event_time if event.happened == "raised" else None,
        alert_id=event.alert_id,
        cleared=event.event_time if event.happened == "cleared" else None,
        v=event.v,
        tenant=event.tenant,
        rule=event.rule,
        version=event.version,
        device=event.device,
        metric=event.metric,
        severity=event.severity,
        start=event.start,
        changed=event.log_time,
        event_time=event.event_time,
        happened=event.happened,
        why=event.why,
        value=event.value,
        level=event.level,
    )


def joined(one: Episode, other: Episode) -> Episode:
    """What both know of one and the same episode."""
    return msgspec.structs.replace(
        max(one, other, key=lambda episode: episode.order),
        worst=max(one.worst, other.worst, key=SEVERITIES.index),
        raised=min((at for at in (one.raised, other.raised) if at is not None), default=None),
        cleared=max((at for at in (one.cleared, other.cleared) if at is not None), default=None),
    )
