"""What happens to an alert: raised, escalated, deescalated, cleared. It travels on `alerts`.

An episode lasts from raised to cleared. Its `alert_id` is made from what it is about and when it started, so a restart
or a replay names the same alert.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

import msgspec

from headwater.model.rule import Severity, Value

Happened = Literal["raised", "escalated", "deescalated", "cleared"]
Why = Literal["reading", "silence", "expired", "rule-changed", "rule-disabled", "rule-deleted", "out-of-scope"]


class AlertEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened to an alert. All times are UTC epoch ms.

    `event_time` is of the reading that decided, `log_time` of its record. Where log time alone decides (silence, an
    edited rule, a match of a pattern whose time is over) both are that time. `start` is when the episode began: the
    first reading of the run that raised it; of a silence, the log time when something was last heard (or when the
    edited rule began to count). `severity` is that after the event, of a cleared one that before. `value` is what
    decided (of a rate: the rate), `level` what it was compared with. `received` is when the door had the reading, 0 if
    none decided or a pattern did; it measures delay alone.
    """

    v: int
    alert_id: str
    tenant: str
    rule: str
    version: int
    device: str
    happened: Happened
    why: Why
    severity: Severity
    event_time: int
    start: int
    log_time: int
    metric: str = ""
    value: Value | None = None
    level: float | None = None
    received: int = 0


def alert_id(tenant: str, rule: str, device: str, metric: str, start: int) -> str:
    """32 hex digits: the same for the same episode, whenever and wherever it is found."""
    text = "\0".join((tenant, rule, device, metric, str(start)))
    return blake2b(text.encode(), digest_size=16).hexdigest()


def pattern_rule(name: str) -> str:
    """What a pattern is called where alerts name their rule; no rule can have such a name.

    The ids of its alerts are made in SQL (`sql/analysis/pattern_sink.sql`): MD5 of the same text as `alert_id` takes.
    """
    return f"pattern:{name}"
