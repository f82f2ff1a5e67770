"""Bytes to a JSON value, without losing what a strict parser would: NaN, infinities, and names given twice.

The fast way (msgspec) takes nearly everything. The slow way (standard library) is asked only when the fast one refuses
or may have hidden a repeated name, because the first of two readings with one identity counts, and JSON keeps the last.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from headwater.model.errors import Refused

_decode = msgspec.json.Decoder().decode
_LONGEST_INT = 20


def parse(payload: bytes) -> Any:
    """The JSON value in `payload`. Numbers beyond a double come as infinities, NaN literals as NaN.

    Of a name that stands twice in one object the first counts. Raises `Refused` ("bad-json").
    """
    try:
        value = _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _parse_leniently(payload)
    # Each name is followed by one colon; more colons than names means: a text holds one, or a name stands twice.
    if payload.count(b":") != _names(value):
        return _parse_leniently(payload)
    return value


def _names(value: Any) -> int:
    """Names in the objects of the accepted forms (deeper ones only make the slow way be asked)."""
    if type(value) is dict:
        return len(value) + sum(len(inner) for inner in value.values() if type(inner) is dict)
    if type(value) is list:
        return sum(_names(item) for item in value if type(item) is dict)
    return 0


def _parse_leniently(payload: bytes) -> Any:
    try:
        return json.loads(payload.decode("utf-8"), object_pairs_hook=_first_counts, parse_int=_integer)
    except UnicodeDecodeError as error:
        raise Refused(
            "bad-json",
            f"expected JSON in UTF-8, got the byte 0x{payload[error.start]:02x} at {error.start}; encode it as UTF-8",
        ) from error
    except RecursionError as error:
        raise Refused("bad-json", "expected flat JSON, got one nested too deeply; send one of the forms") from error
    except ValueError as error:
        raise Refused(
            "bad-json", f"expected JSON in UTF-8, got {payload[:60]!r} ({error}); check the quotes"
        ) from error


def _first_counts(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found


def _integer(digits: str) -> int | float:
    # Python refuses to read integers of thousands of digits; as doubles they are infinite, and refused as such.
    return int(digits) if len(digits) <= _LONGEST_INT else float(digits)
