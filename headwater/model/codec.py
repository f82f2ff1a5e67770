"""Bytes to nouns and back. Every record carries a schema version `v`; old versions stay readable.

Version 1 is the first. A reader refuses a version it does not know with `BadRecord`, never by guessing.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

import msgspec

from headwater.model.alert import AlertEvent
from headwater.model.device import ClientAttributes, DeviceRecord
from headwater.model.episode import Episode
from headwater.model.errors import BadRecord
from headwater.model.event import DeviceEvent
from headwater.model.pack import Aggregate, Correction, DeadLetter, Pack
from headwater.model.rule import Rule

VERSION = 1

_Record = TypeVar(
    "_Record",
    Pack,
    Aggregate,
    DeadLetter,
    Correction,
    ClientAttributes,
    DeviceRecord,
    DeviceEvent,
    Rule,
    AlertEvent,
    Episode,
)
_encoder = msgspec.json.Encoder()
_decoders: dict[type, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind) for kind in _Record.__constraints__
}


def encode(
    record: Pack
    | Aggregate
    | DeadLetter
    | Correction
    | ClientAttributes
    | DeviceRecord
    | DeviceEvent
    | Rule
    | AlertEvent
    | Episode,
) -> bytes:
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


def rule_key(tenant: str, rule: str) -> str:
    """The Kafka key that keeps the versions of a rule in one partition, in order."""
    return f"{tenant}/{rule}"


def row_key(row: Aggregate) -> bytes:
    """The Kafka key of a row on `processed-data`, byte for byte as Flink's `upsert-kafka` writes it.

    Whoever else publishes a row must use it, with the partitioner murmur2, so that all versions of a row lie in one
    partition. Flink's JSON writes characters beyond the basic plane as two escapes in capitals; a test compares.
    """
    tenant, device, metric = (json.dumps(name, ensure_ascii=False) for name in (row.tenant, row.device, row.metric))
    text = f'{{"tenant":{tenant},"device":{device},"metric":{metric},"pane":{row.pane}}}'
    return (text if text.isascii() else _ASTRAL.sub(_escaped, text)).encode()


_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be").hex().upper()
    return f"\\u{units[:4]}\\u{units[4:]}"
