"""Who may send: tenants, devices and their tokens, in PostgreSQL. A token itself is never stored, only its SHA-256.

Tokens are random with 256 bits, so a fast hash is enough: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from headwater.model.errors import BadRequest, NotFound

MAX_NAME = 128
"""Most characters of a tenant's or a device's name. Doors refuse longer ones too (`connectors.doors.limits`)."""

_FORBIDDEN = frozenset("/+#")


@dataclass(frozen=True)
class Device:
    """A device as it is registered. `token_sha256` is hex; `revoked` is true once its token was withdrawn."""

    tenant: str
    device: str
    kind: str
    token_sha256: str
    revoked: bool


def new_token() -> str:
    """A fresh token of 256 random bits (URL-safe text). Show it once; it cannot be read back."""
    return secrets.token_urlsafe(32)


def token_sha256(token: str) -> str:
    """The form in which a token is stored and compared: SHA-256, hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def check_name(name: str, field: str) -> str:
    """`name`, if a tenant or device may be called so.

    Raises `BadRequest` with `field` if it is empty, longer than 128 characters, starts with `_` (reserved), or holds
    `/`, `+`, `#` (topics are made of it) or a control character.
    """
    if not 0 < len(name) <= MAX_NAME:
        raise BadRequest(f"expected a {field} name of 1 to {MAX_NAME} characters, got {len(name)}; shorten it", field)
    if name.startswith("_"):
        raise BadRequest(f"expected a {field} name without the reserved leading _, got {name!a}; rename it", field)
    if any(c in _FORBIDDEN or _control(c) for c in name):
        raise BadRequest(f"expected a {field} name without / + # and controls, got {name!a}; rename it", field)
    return name


def _control(c: str) -> bool:
    return c < " " or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff"


def add_tenant(conn: Connection[Any], tenant: str) -> None:
    """Makes a tenant; one that exists stays as it is. The caller commits."""
    conn.execute("insert into tenant (tenant) values (%s) on conflict do nothing", (check_name(tenant, "tenant"),))


def add_device(conn: Connection[Any], tenant: str, device: str, token: str, kind: str = "") -> None:
    """Registers a device with its token; one that exists gets this token and kind, and is no longer revoked.

    The tenant is made if it is missing. Brokers know within seconds. The caller commits.
    """
    check_name(tenant, "tenant")
    check_name(device, "device")
    add_tenant(conn, tenant)
    conn.execute(
        "insert into device (tenant, device, kind, token_sha256) values (%s, %s, %s, %s)"
        " on conflict (tenant, device) do update"
        " set kind = excluded.kind, token_sha256 = excluded.token_sha256, revoked = null"
        " where (device.kind, device.token_sha256) is distinct from (excluded.kind, excluded.token_sha256)"
        " or device.revoked is not null",
        (tenant, device, kind, token_sha256(token)),
    )


def revoke(conn: Connection[Any], tenant: str, device: str) -> None:
    """Withdraws a device's token: its connection ends within seconds. Raises `NotFound`. The caller commits."""
    done = conn.execute(
        "update device set revoked = coalesce(revoked, now()) where tenant = %s and device = %s", (tenant, device)
    )
    if done.rowcount == 0:
        raise NotFound(f"expected a registered device, got {tenant}/{device}; look at `headwater devices list`")


def lookup(conn: Connection[Any], tenant: str, device: str) -> Device | None:
    """The device as registered, or None."""
    row = conn.execute(
        "select tenant, device, kind, token_sha256, revoked is not null from device where tenant = %s and device = %s",
        (tenant, device),
    ).fetchone()
    return None if row is None else Device(*row)


def live_tokens(conn: Connection[Any]) -> dict[tuple[str, str], str]:
    """(tenant, device) -> SHA-256 of its token, of every device that is not revoked."""
    rows = conn.execute("select tenant, device, token_sha256 from device where revoked is null").fetchall()
    return {(tenant, device): digest for tenant, device, digest in rows}
