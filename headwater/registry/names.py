"""What tenants, devices, sites and models may be called."""

from __future__ import annotations

from headwater.model.errors import BadRequest

MAX_NAME = 128
"""Most characters of a tenant's or a device's name. Doors refuse longer ones too (`connectors.doors.limits`)."""

_FORBIDDEN = frozenset("/+#")


def check_name(name: str, field: str) -> str:
    """`name`, if a tenant, device, site or model may be called so.

    Raises `BadRequest` with `field` if it is empty, longer than 128 characters, starts with `_` (reserved), or holds
    `/`, `+`, `#` (topics are made of it) or a control character.
    """
    if not 0 < len(name) <= MAX_NAME:
        raise BadRequest(f"expected a {field} name of 1 to {MAX_NAME} characters, got {len(name)}; shorten it", field)
    if name.startswith("_"):
        raise BadRequest(f"expected a {field} name without the reserved leading _, got {name!a}; rename it", field)
    if any(c in _FORBIDDEN or control(c) for c in name):
        raise BadRequest(f"expected a {field} name without / + # and controls, got {name!a}; rename it", field)
    return name


def control(c: str) -> bool:
    """True for characters that no name or title may hold."""
    return c < " " or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff"
