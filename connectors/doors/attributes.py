"""What a device says of itself: one JSON object of names and values, taken whole or not at all."""

from __future__ import annotations

from connectors.doors.parse import parse
from headwater.model.device import Scalar
from headwater.model.errors import Refused
from headwater.registry.fields import MAX_CLIENT_BYTES, facts

_MOST_DETAIL = 1_000


def attributes_of(payload: bytes) -> dict[str, Scalar]:
    """Name -> text, number or boolean; None takes a name away.

    Raises `Refused`: too-large, bad-json, or bad-attributes, whose detail names every fault.
    """
    if len(payload) > MAX_CLIENT_BYTES:
        raise Refused(
            "too-large", f"expected attributes of at most {MAX_CLIENT_BYTES} bytes, got {len(payload)}; send fewer"
        )
    try:
        return facts(parse(payload))
    except ValueError as error:
        raise Refused("bad-attributes", str(error)[:_MOST_DETAIL]) from error
