"""Cursors of lists that are ordered by a time and an id, newest first."""

from __future__ import annotations

import re
from typing import NamedTuple

from headwater.model.errors import BadRequest

_FORM = re.compile(r"(\d{1,15})\.([0-9a-f]{1,64})")


class Place(NamedTuple):
    """Where a page ends: the next one has what is below it. `at` is UTC epoch ms, `id` hex."""

    at: int = 1 << 62
    id: str = ""

    def __str__(self) -> str:
        return f"{self.at}.{self.id}"


def place_of(cursor: str) -> Place:
    """The place that a cursor names; an empty one is before everything. Raises `BadRequest`."""
    if not cursor:
        return Place()
    found = _FORM.fullmatch(cursor)
    if not found:
        raise BadRequest(
            f"expected `next` of an answer before as the cursor, got {cursor[:80]!r}: send it as it was", "cursor"
        )
    return Place(int(found[1]), found[2])
