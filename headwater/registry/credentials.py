"""The tokens of devices. A token itself is never stored, only its SHA-256.

Tokens are random with 256 bits, so a fast hash is enough: there is nothing to guess. A device may have several at a
time: a rotation leaves the old one good for an overlap, in which the device takes over the new one. Brokers are
notified at the commit, and end the connections of a token that is no longer good.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Connection

from headwater.model.errors import NotFound

CHANNEL = "credential"
"""PostgreSQL notifies it at the commit of each transaction that changed a token."""

_GOOD = "revoked is null and (expires is null or expires > now())"
_EXPIRES = "(extract(epoch from expires) * 1000)::bigint"


class Credential(NamedTuple):
    """A good token: its SHA-256 in hex, and when it ends by itself (UTC epoch ms; None: never)."""

    token_sha256: str
    expires_ms: int | None


class Issued(NamedTuple):
    """What is told of a token: never itself. `state` is good, expired or revoked."""

    created: datetime
    expires: datetime | None
    revoked: datetime | None
    state: str


def new_token() -> str:
    """A fresh token of 256 random bits (URL-safe text). Show it once; it cannot be read back."""
    return secrets.token_urlsafe(32)


def token_sha256(token: str) -> str:
    """The form in which a token is stored and compared: SHA-256, hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def give_only(conn: Connection[Any], tenant: str, device: str, token: str) -> None:
    """Makes `token` the only good one of a registered device, without end. The caller commits."""
    digest = token_sha256(token)
    conn.execute(
        f"update credential set revoked = now() where tenant = %s and device = %s and token_sha256 <> %s and {_GOOD}",  # noqa: S608
        (tenant, device, digest),
    )
    _give(conn, tenant, device, digest, None)


def rotate(
    conn: Connection[Any], tenant: str, device: str, token: str, overlap_s: float, expires_s: float | None = None
) -> None:
    """Gives a device a further token; those it has end after `overlap_s` seconds, if they do not end before.

    `expires_s`: after how many seconds the new one ends by itself. Raises `NotFound`. The caller commits.
    """
    _lock(conn, tenant, device)
    conn.execute(
        "update credential set expires = least(expires, now() + make_interval(secs => %s))"  # noqa: S608
        f" where tenant = %s and device = %s and {_GOOD}",
        (overlap_s, tenant, device),
    )
    _give(conn, tenant, device, token_sha256(token), expires_s)


def revoke(conn: Connection[Any], tenant: str, device: str) -> None:
    """Withdraws every token of a device: its connections end at once. Raises `NotFound`. The caller commits."""
    _lock(conn, tenant, device)
    conn.execute(
        "update credential set revoked = now() where tenant = %s and device = %s and revoked is null", (tenant, device)
    )


def good(conn: Connection[Any], tenant: str, device: str) -> list[Credential]:
    """The good tokens of a device; none if it is not registered."""
    rows = conn.execute(
        f"select token_sha256, {_EXPIRES} from credential where tenant = %s and device = %s and {_GOOD}",  # noqa: S608
        (tenant, device),
    )
    return [Credential(*row) for row in rows]


def all_good(conn: Connection[Any]) -> dict[tuple[str, str], list[Credential]]:
    """(tenant, device) -> its good tokens, of every device that has any."""
    found: dict[tuple[str, str], list[Credential]] = {}
    rows = conn.execute(
        f"select tenant, device, token_sha256, {_EXPIRES} from credential where {_GOOD}"  # noqa: S608
        " order by tenant, device, token_sha256"
    )
    for tenant, device, digest, expires_ms in rows:
        found.setdefault((tenant, device), []).append(Credential(digest, expires_ms))
    return found


def issued(conn: Connection[Any], tenant: str, device: str) -> list[Issued]:
    """Every token that a device ever had, newest first."""
    rows = conn.execute(
        "select created, expires, revoked, case when revoked is not null then 'revoked'"
        " when expires <= now() then 'expired' else 'good' end"
        " from credential where tenant = %s and device = %s order by created desc",
        (tenant, device),
    )
    return [Issued(*row) for row in rows]


def _give(conn: Connection[Any], tenant: str, device: str, digest: str, expires_s: float | None) -> None:
    conn.execute(
        "insert into credential (tenant, device, token_sha256, expires)"
        " values (%s, %s, %s, now() + make_interval(secs => %s))"
        " on conflict (tenant, device, token_sha256) do update"
        " set expires = excluded.expires, revoked = null, created = now()"
        " where credential.revoked is not null or credential.expires is distinct from excluded.expires",
        (tenant, device, digest, expires_s),
    )


def _lock(conn: Connection[Any], tenant: str, device: str) -> None:
    found = conn.execute(
        "select 1 from device where tenant = %s and device = %s for no key update", (tenant, device)
    ).fetchone()
    if found is None:
        raise NotFound(f"expected a registered device, got {tenant}/{device}; look at `headwater devices list`")
