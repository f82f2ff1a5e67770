"""What a device was: its newest versions, as they were published.

Triggers of the database write a version with the record that tells of it, in the transaction of the change. A record
that is published again is no new version.
"""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from headwater.model import codec
from headwater.model.device import DeviceRecord
from headwater.model.errors import NotFound
from headwater.model.stores import DEVICE_VERSIONS
from headwater.registry.entries import DEVICES
from headwater.registry.store import missing

_VERSIONS = f"""
select record::text
from {DEVICE_VERSIONS}
where tenant = %s and device = %s and version > %s
order by version
limit %s
"""  # noqa: S608

_TRIM = f"""
delete from {DEVICE_VERSIONS}
using (
    select
        tenant,
        device,
        version,
        row_number() over (partition by tenant, device order by version desc) as place
    from {DEVICE_VERSIONS}
) as placed
where
    {DEVICE_VERSIONS}.tenant = placed.tenant
    and {DEVICE_VERSIONS}.device = placed.device
    and {DEVICE_VERSIONS}.version = placed.version
    and placed.place > %s
"""  # noqa: S608


def trim(conn: Connection[Any], each: int) -> int:
    """Forgets of each device all but its newest `each` versions; returns how many were forgotten."""
    return conn.execute(_TRIM, (each,)).rowcount


def versions(
    conn: Connection[Any], tenant: str, device: str, after: int = 0, limit: int | None = None
) -> list[DeviceRecord]:
    """Versions of a device after that one, oldest first, also of a device that is deleted.

    Raises `NotFound`, with near names, if there is no such device and never was one.
    """
    rows = conn.execute(_VERSIONS, (tenant, device, after, limit)).fetchall()
    if not rows and not (after and conn.execute(_VERSIONS, (tenant, device, 0, 1)).fetchone()):
        raise NotFound(missing(conn, DEVICES, tenant, device))
    return [codec.decode(DeviceRecord, text.encode()) for (text,) in rows]
