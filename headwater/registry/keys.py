"""The provisioning keys of models: with one, a device that nobody has registered registers itself.

A key is as good a secret as a token of a device, and is kept in the same way: 256 random bits, told once, of which only
the SHA-256 is stored. An id names it. It may end by itself, and may be for so many devices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from psycopg import Connection

from headwater.model.errors import BadFields, Fault, NotFound
from headwater.model.version import check_version
from headwater.registry import store
from headwater.registry.credentials import token_sha256
from headwater.registry.entries import MODELS
from headwater.registry.fields import optional, take, whole

MOST_EXPIRES_S = 10 * 365 * 86_400
MOST_USES = 1_000_000
_ID = 12
_MS = "(extract(epoch from {}) * 1000)::bigint"
_USED_UP = "uses >= most_uses"
_COLUMNS = f"""
tenant, model, id,
case
  when revoked is not null then 'revoked'
  when expires <= now() then 'expired'
  when {_USED_UP} then 'used-up'
  else 'good'
end,
uses, most_uses, {_MS.format("created")}, {_MS.format("expires")}, {_MS.format("revoked")}, version
"""
_FIND = f"select {_COLUMNS} from provisioning_key where key_sha256 = %s"  # noqa: S608
_LIST = f"select {_COLUMNS} from provisioning_key where tenant = %s and model = %s order by created desc, id"  # noqa: S608
_GET = f"select {_COLUMNS} from provisioning_key where tenant = %s and model = %s and id = %s"  # noqa: S608


@dataclass(frozen=True)
class Key:
    """What is told of a provisioning key: never itself. Times in UTC epoch ms; None means never, or any number."""

    tenant: str
    model: str
    id: str
    state: Literal["good", "used-up", "expired", "revoked"]
    uses: int
    most_uses: int | None
    created_ms: int
    expires_ms: int | None
    revoked_ms: int | None
    version: int


class Limits(NamedTuple):
    """When a new key ends by itself, in seconds from now, and how many devices it may register; None: without end."""

    expires_s: int | None = None
    most_uses: int | None = None


def limits(given: object) -> Limits:
    """The limits that somebody has written, checked. Raises `BadFields` with every fault."""
    checks = {"expires_s": optional(whole(1, MOST_EXPIRES_S)), "most_uses": optional(whole(1, MOST_USES))}
    if not isinstance(given, Mapping):
        raise BadFields([Fault("", f"expected an object of {', '.join(checks)}; send {{}} for a key without limits")])
    taken, faults = take(given, checks)
    if faults:
        raise BadFields(faults)
    return Limits(**taken)


def add(conn: Connection[Any], tenant: str, model: str, key: str, most: Limits) -> Key:
    """Makes `key` (`credentials.new_token`) a provisioning key of a model. Raises `NotFound`. The caller commits."""
    store.lock_named(conn, [(MODELS, tenant, model)])
    store.get(conn, MODELS, tenant, model)
    digest = token_sha256(key)
    conn.execute(
        "insert into provisioning_key (tenant, model, id, key_sha256, most_uses, expires)"
        " values (%s, %s, %s, %s, %s, now() + make_interval(secs => %s))",
        (tenant, model, digest[:_ID], digest, most.most_uses, most.expires_s),
    )
    return get(conn, tenant, model, digest[:_ID])


def of_model(conn: Connection[Any], tenant: str, model: str) -> list[Key]:
    """Every key that a model ever had, newest first. Raises `NotFound`."""
    store.get(conn, MODELS, tenant, model)
    return [Key(*row) for row in conn.execute(_LIST, (tenant, model))]


def get(conn: Connection[Any], tenant: str, model: str, key_id: str) -> Key:
    """The key of that id. Raises `NotFound`."""
    row = conn.execute(_GET, (tenant, model, key_id)).fetchone()
    if row is None:
        raise NotFound(
            f"expected the id of a provisioning key of model {tenant}/{model}, got {key_id!r}; "
            "`headwater models keys list` shows what there is"
        )
    return Key(*row)


def find(conn: Connection[Any], key_sha256: str) -> Key | None:
    """The key of that SHA-256, in whichever state."""
    row = conn.execute(_FIND, (key_sha256,)).fetchone()
    return None if row is None else Key(*row)


def use(conn: Connection[Any], key_sha256: str) -> bool:
    """Counts one more device; false if the key is not good any more. The caller commits, and holds the key until then.

    Of several who use a key at once each waits for the one before, so there is never one use too many.
    """
    used = conn.execute(
        "update provisioning_key set uses = uses + 1 where key_sha256 = %s and revoked is null"  # noqa: S608
        f" and (expires is null or expires > now()) and ({_USED_UP}) is not true",
        (key_sha256,),
    )
    return used.rowcount == 1


def revoke(conn: Connection[Any], tenant: str, model: str, key_id: str, expect: int | None = None) -> Key:
    """Withdraws a key; what was registered with it stays. The caller commits.

    `expect`: the version that it must have, as in `headwater.model.version`. Raises `NotFound`, and `Conflict`.
    """
    conn.execute(
        "select 1 from provisioning_key where tenant = %s and model = %s and id = %s for update",
        (tenant, model, key_id),
    )
    before = get(conn, tenant, model, key_id)
    check_version(f"provisioning key {key_id!r}", before.version, expect)
    conn.execute(
        "update provisioning_key set revoked = now() where tenant = %s and model = %s and id = %s and revoked is null",
        (tenant, model, key_id),
    )
    return get(conn, tenant, model, key_id)
