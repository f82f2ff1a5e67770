"""A device with one token, by one call: for what makes many devices and knows nothing else of them."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from headwater.registry.credentials import give_only
from headwater.registry.names import check_name


def add_tenant(conn: Connection[Any], tenant: str) -> None:
    """Makes a tenant; one that exists stays as it is. The caller commits."""
    check_name(tenant, "tenant")
    # Looked for first: `on conflict` alone would use up a version and wake the triggers for nothing.
    if conn.execute("select 1 from tenant where tenant = %s", (tenant,)).fetchone() is None:
        conn.execute("insert into tenant (tenant) values (%s) on conflict do nothing", (tenant,))


def add_device(conn: Connection[Any], tenant: str, device: str, token: str, kind: str = "") -> None:
    """Registers a device with its token; one that exists gets this kind, and this token as its only good one.

    The tenant is made if it is missing; site, model, tags and attributes of a device that exists stay. Brokers know at
    the commit, which is the caller's.
    """
    check_name(device, "device")
    add_tenant(conn, tenant)
    conn.execute(
        "insert into device (tenant, device, kind) values (%s, %s, %s)"
        " on conflict (tenant, device) do update set kind = excluded.kind where device.kind <> excluded.kind",
        (tenant, device, kind),
    )
    give_only(conn, tenant, device, token)
