"""A length in seven bits a byte, as several binary formats have it."""

from __future__ import annotations


def varint(number: int) -> bytes:
    """A whole number from 0 on, the lowest bits first (MQTT 5.0, 1.5.5; lengths in ClickHouse's RowBinary)."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
