"""A pack: many readings of one device that lie in one pane, as they travel on `raw-sensor-data`.

A reading is one value of one metric of one device at one event time. Its identity is
(tenant, device, metric, ts); the first in the log counts. Readings never travel alone when they can
travel together: the hot path does its arithmetic on the arrays of a pack.
"""

from __future__ import annotations

import msgspec

PANE_MS = 10_000
"""Width of the one level that Flink computes. Not a setting: rows of every store are keyed by it."""

LARGEST = 1e100
"""Numbers of this size and above are refused: the squares of a pane would sum to infinity."""

PULSE_TENANT = "_pulse"
"""Tenant of the beats that move log time while devices are silent. Names with a leading `_` are reserved."""


def pane_of(ts: int) -> int:
    """The start (UTC epoch ms) of the 10 s pane that event time `ts` (UTC epoch ms) belongs to."""
    return ts - ts % PANE_MS


class Pack(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Readings of one device in one pane, as columns.

    Shapes: `at` holds n offsets in ms from `pane`, strictly ascending, each in [0, 10000);
    each list in `metrics`, `texts` and `flags` holds n values, one for each offset, names sorted.
    `received` is when the door had the last of them (UTC epoch ms); it decides nothing, it only measures delay.
    """

    v: int
    tenant: str
    device: str
    pane: int
    at: list[int]
    metrics: dict[str, list[float]] = {}
    texts: dict[str, list[str]] = {}
    flags: dict[str, list[bool]] = {}
    received: int = 0


class Aggregate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of one series in one pane, as it travels on `processed-data` and lies in the stores.

    `pane`, `first_ms`, `last_ms`, `as_of` and `received` are UTC epoch ms. `as_of` is the largest log time folded in.
    `dup` counts readings that were recognised as resent. The version is (`generation`, `count`): within a
    generation a row only gains readings, so the higher count is the newer row.
    """

    v: int
    tenant: str
    device: str
    metric: str
    pane: int
    generation: int
    count: int
    sum: float
    sum_sq: float
    min: float
    max: float
    first_ms: int
    last_ms: int
    last: float
    as_of: int
    received: int
    dup: int = 0

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Tenant first: (tenant, device, metric, pane)."""
        return (self.tenant, self.device, self.metric, self.pane)

    @property
    def version(self) -> tuple[int, int]:
        """A row replaces a stored one only if its version is not lower."""
        return (self.generation, self.count)


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """What a door refused, whole: the reason, where it came from, and the original bytes (base64)."""

    v: int
    reason: str
    detail: str
    topic: str
    tenant: str
    device: str
    door: str
    received: int
    payload: str


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """Says that a pack came too late for its pane: which panes to recompute, and from which position of the log on."""

    v: int
    tenant: str
    device: str
    pane: int
    metrics: list[str]
    partition: int
    offset: int
    log_time: int


REASONS: dict[str, str] = {
    "bad-topic": "the topic is not v1/{tenant}/{device}/telemetry or /attributes, or a name in it is not allowed",
    "bad-json": "the payload is not JSON in UTF-8",
    "bad-shape": "the JSON is none of the accepted forms",
    "bad-type": "a value is neither a number, a text nor true/false",
    "not-finite": "a value is NaN, infinite, or not within ±1e100 (its squares would sum to infinity)",
    "bad-stamp": "a time stamp is not a whole number of milliseconds",
    "too-old": "a time stamp is older than HEADWATER_OLDEST_MS allows",
    "too-new": "a time stamp is further ahead of arrival than HEADWATER_AHEAD_MS allows",
    "too-large": "the payload has more bytes than HEADWATER_MAX_BYTES (attributes: more than 16,384)",
    "too-many-readings": "the message has more readings than HEADWATER_MAX_READINGS",
    "too-many-metrics": "the message names more metrics than HEADWATER_MAX_METRICS",
    "too-long": "a text has more characters than HEADWATER_MAX_TEXT",
    "bad-name": "a metric's name is empty, too long or holds control characters",
    "bad-attributes": "attributes are not one JSON object of names with a text, a number or true/false each, or a "
    "device would have more than 200 of them, or more than 16,384 bytes",
    "unknown-device": "attributes came of a device that is not registered any more",
    "bad-record": "a record on raw-sensor-data breaks the form of a pack (written past the doors)",
    "past-retention": "a late reading belongs to a pane of which HEADWATER_KEEP_RAW_DAYS has removed readings: its row "
    "can no longer be recomputed, and the stored row stays as it is",
    "not-in-log": "a correction names a position that neither the log nor the raw store has (the topic was made anew)",
    "udf-failed": "a function of SQL raised, or gave what is not of its type: the row has null in its place, and its "
    "job goes on; at most one letter a second for each function of a process, with the number of failures",
}
"""Every reason a dead letter may carry, and what it means. `docs/guarantees.md` lists them; a test compares."""
