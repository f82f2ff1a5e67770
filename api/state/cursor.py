"""A position in `processed-data` as text, so that a client that comes back says where it stopped.

`0:123,1:456` reads: of partition 0 everything before offset 123 is known, of partition 1 everything before 456.
"""

from __future__ import annotations

import re

from headwater.model.errors import BadRequest

Positions = dict[int, int]
"""Partition -> the next offset to read: all records before it are folded in."""

_FORM = re.compile(r"\d{1,9}:\d{1,19}(,\d{1,9}:\d{1,19})*")


def write(positions: Positions) -> str:
    """The cursor of `positions`, partitions ascending."""
    return ",".join(f"{partition}:{offset}" for partition, offset in sorted(positions.items()))


def read(cursor: str) -> Positions:
    """The positions that `cursor` says. Raises `BadRequest` if it is not one of ours."""
    if not _FORM.fullmatch(cursor):
        raise BadRequest(
            f"expected a cursor as the last frame gave it, such as 0:123,1:456, got {cursor[:80]!r}: "
            "send the cursor of a frame unchanged, or null for a snapshot",
            "cursor",
        )
    return {int(partition): int(offset) for partition, _, offset in (part.partition(":") for part in cursor.split(","))}
