"""Moments on the command line: ISO 8601, epoch ms, or so long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from headwater import clock
from headwater.model.errors import BadRequest

_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def moment(text: str, now_ms: int | None = None) -> int:
    """UTC epoch ms of `2026-11-24T12:00:00Z` (no zone means UTC), `1790000000000`, `-15m` (s, m, h, d) or `now`.

    Raises `BadRequest` for anything else.
    """
    now = clock.now_ms() if now_ms is None else now_ms
    if text == "now":
        return now
    if ago := re.fullmatch(r"-(\d+)([smhd])", text):
        return now - int(ago[1]) * _UNITS_MS[ago[2]]
    if re.fullmatch(r"\d{10,}", text):
        return int(text)
    try:
        at = datetime.fromisoformat(text)
        return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000)
    except (ValueError, OverflowError):
        raise BadRequest(
            f"expected a time as 2026-11-24T12:00:00Z, as epoch ms, or as -15m (s, m, h, d), got {text!r}"
        ) from None


def shown(ms: int) -> str:
    """The moment as people read it: to the second, in UTC."""
    return datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
