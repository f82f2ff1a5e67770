"""Times as people and programs write them, and the level that answers a span of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from headwater.model.errors import BadRequest
from headwater.model.stores import LEVEL, LEVELS, Level

DAY_MS = 86_400_000
LAST_MS = 253_402_300_799_999
"""The end of the year 9999, the last that the stores can hold."""

_SECONDS = range(100_000_000, 100_000_000_000)


def parse(text: str, field: str) -> int:
    """Epoch ms of an ISO 8601 time or of epoch milliseconds as digits.

    A time without an offset is UTC. Raises `BadRequest` on anything else, and on what is plainly epoch seconds.
    """
    text = text.strip()
    if re.fullmatch(r"\d{1,18}", text):
        ms = int(text)
        if ms in _SECONDS:
            raise BadRequest(
                f"expected epoch milliseconds in {field}, got {ms}, which looks like seconds: append 000", field
            )
    else:
        ms = _iso(text, field)
    if not 0 <= ms <= LAST_MS:
        raise BadRequest(f"expected a time from 1970 to 9999 in {field}, got {text!r}", field)
    return ms


def _iso(text: str, field: str) -> int:
    try:
        # A plus sign that was not percent-encoded arrives as a space.
        at = datetime.fromisoformat(re.sub(r" (\d\d:?\d\d)$", r"+\1", text) if "T" in text else text)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return round(at.timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise BadRequest(
            f"expected ISO 8601, such as 2026-11-24T10:00:00Z, or epoch milliseconds in {field}, got {text[:80]!r}",
            field,
        ) from error


@dataclass(frozen=True)
class Plan:
    """Which level is read, and from which bucket (`first_ms`, the start of the one that `from` lies in)."""

    level: Level
    first_ms: int


def buckets(level: Level, start: int, end: int) -> int:
    """How many buckets of `level` touch [start, end)."""
    return -(-end // level.width_ms) - start // level.width_ms


def choose(name: str, start: int, end: int, points: int, most: int, oldest: dict[str, int]) -> Plan:
    """The level that answers [start, end) when `name` is asked for.

    `auto` takes the finest level with at most `points` buckets that is still kept at `start` (`oldest`: level name ->
    epoch ms before which retention has removed it). Raises `BadRequest` if no level, or not the one that was asked
    for, comes with at most `most`.
    """
    if name != "auto":
        level = LEVEL[name]
        count = buckets(level, start, end)
        if count > most:
            raise BadRequest(
                f"expected at most {most} points, got a span of {count} at level {name}: "
                "ask for a shorter span, a coarser level, or level=auto",
                "level",
            )
        return _plan(level, start)
    fitting = [level for level in LEVELS if buckets(level, start, end) <= points]
    if not fitting:
        coarsest = LEVELS[-1]
        raise BadRequest(
            f"expected a span of at most {points} points, got {buckets(coarsest, start, end)} even at level "
            f"{coarsest.name}: ask for a shorter span or more points (at most {most})",
            "from",
        )
    kept = [level for level in fitting if start >= oldest.get(level.name, 0)]
    return _plan((kept or fitting[-1:])[0], start)


def _plan(level: Level, start: int) -> Plan:
    return Plan(level, start - start % level.width_ms)
