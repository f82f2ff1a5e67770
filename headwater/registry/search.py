"""Lists of what is registered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg import Connection, sql

from headwater.registry.entries import DEVICES, Device, Entry, Kind
from headwater.registry.store import columns, made

_ALL = sql.SQL(
    """
select {columns}
from {table}
where (tenant = %(tenant)s or %(tenant)s = '')
order by tenant collate "C", {table} collate "C"
"""
)
# Code points decide the order, as in Python.
_DEVICES = sql.SQL(
    """
select {columns}
from device
where (tenant = %(tenant)s or %(tenant)s = '')
  and device collate "C" > %(after)s
  and (%(site)s::text is null or site = %(site)s)
  and (%(model)s::text is null or model = %(model)s)
  and (%(tag)s::text is null or tags @> array[%(tag)s::text])
order by tenant collate "C", device collate "C"
limit %(limit)s
"""
)


@dataclass(frozen=True)
class Wanted:
    """Which devices: of a tenant ("" is all), at a site, of a model, with a tag; None does not ask."""

    tenant: str = ""
    site: str | None = None
    model: str | None = None
    tag: str | None = None
    after: str = ""
    limit: int | None = None


def entries(conn: Connection[Any], kind: Kind[Entry], tenant: str = "") -> list[Entry]:
    """All of a tenant ("" is all tenants), by name."""
    query = _ALL.format(columns=columns(kind), table=sql.Identifier(kind.table))
    return [made(kind, row) for row in conn.execute(query, {"tenant": tenant})]


def devices(conn: Connection[Any], wanted: Wanted) -> list[Device]:
    """The devices that are wanted, by tenant and name. `after` makes sense within one tenant only."""
    query = _DEVICES.format(columns=columns(DEVICES))
    return [made(DEVICES, row) for row in conn.execute(query, vars(wanted))]
