"""Tenants: who owns sites, models, devices and rules. One is made here, or with the first thing that it owns."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from headwater.model.errors import BadFields, Fault, NotFound
from headwater.model.stores import DEVICES, TENANTS
from headwater.model.version import NEW, check_version
from headwater.registry.entries import READ_ONLY
from headwater.registry.fields import MAX_TITLE, name_of, take, text
from headwater.registry.simple import add_tenant

_CHECKS = {"tenant": name_of("tenant"), "title": text(MAX_TITLE)}
_READ_ONLY = (*READ_ONLY, "devices")
_COLUMNS = f"""
select
    tenant,
    title,
    version,
    (extract(epoch from changed) * 1000)::bigint,
    (extract(epoch from created) * 1000)::bigint,
    (select count(*) from {DEVICES} as d where d.tenant = t.tenant)
from {TENANTS} as t
"""  # noqa: S608
# Code points decide the order, as in Python.
_ALL = f'{_COLUMNS} order by tenant collate "C"'
_ONE = f"{_COLUMNS} where tenant = %s"


@dataclass(frozen=True)
class Tenant:
    """A tenant; `devices` is how many are registered."""

    tenant: str
    title: str
    version: int
    changed_ms: int
    created_ms: int
    devices: int


def all_of_them(conn: Connection[Any]) -> list[Tenant]:
    """Every tenant, by name."""
    return [Tenant(*row) for row in conn.execute(_ALL)]


def get(conn: Connection[Any], tenant: str) -> Tenant:
    """The tenant of that very name. Raises `NotFound` with near names."""
    row = conn.execute(_ONE, (tenant,)).fetchone()
    if row is not None:
        return Tenant(*row)
    near = difflib.get_close_matches(tenant, [one.tenant for one in all_of_them(conn)], n=3, cutoff=0.5)
    advice = f"near names: {', '.join(near)}" if near else "`headwater tenants list` shows what there is"
    raise NotFound(f"expected a tenant, got {tenant!r}; {advice}")


def given(tenant: str, body: object) -> dict[str, Any]:
    """The fields that somebody gives for a tenant of that name, checked. Raises `BadFields` with every fault."""
    if not isinstance(body, Mapping):
        raise BadFields([Fault("", "expected an object of title; send JSON as {...}, or nothing")])
    said = {name: value for name, value in body.items() if name not in _READ_ONLY}
    other = said.pop("tenant", tenant)
    taken, faults = take({"tenant": tenant, **said}, _CHECKS)
    if other != tenant:
        faults.append(Fault("tenant", f"expected the name of the address, {tenant!a}, got {other!a}; leave it out"))
    if faults:
        raise BadFields(faults)
    return taken


def save(
    conn: Connection[Any], tenant: str, fields: Mapping[str, Any], expect: int | None = None
) -> tuple[Tenant, bool]:
    """Makes a tenant that is not there; returns it, and whether it was made. `fields` are those of `given`.

    One that is there stays as it is, unless a title is given that it has not: then it must have the version `expect`
    (`headwater.model.version`). Raises `Conflict` if it has another one, and `NotFound` if there is none and `expect`
    wants one. The caller commits.
    """
    if expect not in (None, NEW):
        get(conn, tenant)
    made = add_tenant(conn, tenant)
    conn.execute(f"select 1 from {TENANTS} where tenant = %s for no key update", (tenant,))  # noqa: S608
    before = get(conn, tenant)
    title = fields.get("title", before.title)
    if not made and (title != before.title or expect != NEW):
        check_version(f"tenant {tenant!r}", before.version, expect)
    if title == before.title:
        return before, made
    conn.execute(f"update {TENANTS} set title = %s where tenant = %s", (title, tenant))  # noqa: S608
    return get(conn, tenant), made
