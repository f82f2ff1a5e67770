"""Bytes to nouns and back. Every record carries a schema version `v`; old versions stay readable.

Version 1 is the first. A reader refuses a version it does not know with `BadRecord`, never by guessing.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from headwater.model.errors import BadRecord
from headwater.model.pack import Aggregate, Correction, DeadLetter, Pack

VERSION = 1

_Record = TypeVar("_Record", Pack, Aggregate, DeadLetter, Correction)
_encoder = msgspec.json.Encoder()
_decoders: dict[type, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind) for kind in (Pack, Aggregate, DeadLetter, Correction)
}


def encode(record: Pack | Aggregate | DeadLetter | Correction) -> bytes:
    """The record as JSON in UTF-8, as it stands on its topic."""
    return _encoder.encode(record)


def decode(kind: type[_Record], value: bytes) -> _Record:
    """The record that `value` (JSON in UTF-8) holds.

    Raises `BadRecord` if it is not JSON, lacks a field, or carries a version newer than this code knows.
    """
    try:
        record: _Record = _decoders[kind].decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRecord(f"expected a {kind.__name__} as JSON, got {value[:80]!r}: {error}") from error
    if not 1 <= record.v <= VERSION:
        raise BadRecord(f"expected schema version 1 to {VERSION}, got {record.v}: upgrade this reader first")
    return record


def device_key(tenant: str, device: str) -> bytes:
    """The Kafka key that keeps one device in one partition, in order."""
    return f"{tenant}/{device}".encode()
