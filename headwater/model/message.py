"""Which message a record came from: a Kafka header, so that an audit finds a message of which a part is missing.

The id is made from what was sent and not by chance: a message that the broker delivers again after a crash of the door
gets the same id, and its second delivery completes the first. Records without the header (written before it existed,
by a pulse, or from messages that are promised nothing) stay readable and belong to no message.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

HEADER = "m"
"""Name of the header. Its value: 8 bytes of id, then index and count, 2 bytes each, big endian."""

MOST_PARTS = 0xFFFF
_PART = struct.Struct(">8sHH")
_pack = _PART.pack


class Part(NamedTuple):
    """One record of a message that made `count` records in all, dead letters included; `index` counts from 0."""

    message: bytes
    # Both names hide a method of tuple that nobody calls on a part.
    index: int  # type: ignore[assignment]
    count: int  # type: ignore[assignment]


def message_id(topic: str, payload: bytes) -> bytes:
    """8 bytes that stand for the message."""
    return blake2b(b"%b\0%b" % (topic.encode(), payload), digest_size=8).digest()


def mark(message: bytes, index: int, count: int) -> bytes:
    """The header's value."""
    return _pack(message, index, count)


def part_of(headers: Iterable[tuple[str, bytes]]) -> Part | None:
    """The part that a record's headers name; None if they name none, or in a form that is not known."""
    for name, value in headers:
        if name == HEADER and value is not None and len(value) == _PART.size:
            return Part(*_PART.unpack(value))
    return None
