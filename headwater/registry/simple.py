"""Devices with one token each, in one round trip: for what makes many devices and knows nothing else of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from psycopg import Connection

from headwater.registry.credentials import token_sha256
from headwater.registry.names import check_name

# Looked for first: `on conflict` alone would use up a version and wake the triggers for nothing.
_TENANT = """
insert into tenant (tenant)
select %(tenant)s
where not exists (select 1 from tenant where tenant = %(tenant)s)
on conflict do nothing
"""

_DEVICE = f"""
with made_tenant as ({_TENANT}),
made_device as (
    insert into device (tenant, device, kind)
    values (%(tenant)s, %(device)s, %(kind)s)
    on conflict (tenant, device) do update
    set kind = excluded.kind
    where device.kind <> excluded.kind
),
others as (
    update credential
    set revoked = now()
    where tenant = %(tenant)s
        and device = %(device)s
        and token_sha256 <> %(digest)s
        and revoked is null
        and (expires is null or expires > now())
)
insert into credential (tenant, device, token_sha256)
values (%(tenant)s, %(device)s, %(digest)s)
on conflict (tenant, device, token_sha256) do update
set expires = null, revoked = null, created = now()
where credential.revoked is not null or credential.expires is not null
"""  # noqa: S608


class NewDevice(NamedTuple):
    """A device to be registered, and its only token."""

    tenant: str
    device: str
    token: str
    kind: str = ""


def add_tenant(conn: Connection[Any], tenant: str) -> bool:
    """Makes a tenant, and says so; one that exists stays as it is. The caller commits."""
    return conn.execute(_TENANT, {"tenant": check_name(tenant, "tenant")}).rowcount > 0


def add_device(conn: Connection[Any], tenant: str, device: str, token: str, kind: str = "") -> None:
    """Registers a device with its token; one that exists gets this kind, and this token as its only good one.

    The tenant is made if it is missing; site, model, tags and attributes of a device that exists stay. Brokers know at
    the commit, which is the caller's.
    """
    conn.execute(_DEVICE, _checked(NewDevice(tenant, device, token, kind)))


def add_devices(conn: Connection[Any], devices: Iterable[NewDevice]) -> None:
    """`add_device` for many, without waiting for each. The caller commits."""
    with conn.cursor() as cursor:
        cursor.executemany(_DEVICE, [_checked(device) for device in devices])


def _checked(one: NewDevice) -> dict[str, str]:
    return {
        "tenant": check_name(one.tenant, "tenant"),
        "device": check_name(one.device, "device"),
        "kind": one.kind,
        "digest": token_sha256(one.token),
    }
