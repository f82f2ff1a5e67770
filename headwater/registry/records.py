"""The records of devices that have not changed, written again.

Readers that begin in the middle of the log, and state that lives for a limited time, find every device that is still
registered within `HEADWATER_REGISTRY_REPUBLISH_MS` of any log time.
"""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from headwater.model.stores import OUTBOX
from headwater.model.topics import DEVICE_REGISTRY

Place = tuple[str, str]
BEGIN: Place = ("", "")


def republish(conn: Connection[Any], after: Place, limit: int) -> Place | None:
    """Puts the records of at most `limit` devices after the place (tenant, device) into the outbox, in a transaction.

    Returns the place to go on from, None after the last device. The devices are locked before their records are read,
    so that an older version never follows a newer one.
    """
    with conn.transaction():
        rows = conn.execute(
            "select tenant, device from device where (tenant, device) > (%s, %s)"
            " order by tenant, device limit %s for share",
            (*after, limit),
        ).fetchall()
        conn.execute(
            f"insert into {OUTBOX} (topic, key, value) select %s, key, value from device_record"  # noqa: S608
            " where (tenant, device) in (select * from unnest(%s::text[], %s::text[]))",
            (DEVICE_REGISTRY.name, [tenant for tenant, _ in rows], [device for _, device in rows]),
        )
    return rows[-1] if len(rows) == limit else None
