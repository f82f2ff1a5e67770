"""Sites, models and devices in PostgreSQL, each with a version, so that nobody overwrites what they have not seen."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import psycopg
from psycopg import Connection, sql
from psycopg.types.json import Jsonb

from headwater.model.device import Attributes, MetricOfModel
from headwater.model.errors import BadFields, Conflict, Fault, NotFound
from headwater.model.version import ANY_OLD, NEW, check_version
from headwater.registry.entries import DEVICES, MODELS, SITES, Device, Entry, Kind
from headwater.registry.names import check_name
from headwater.registry.simple import add_tenant

_CHANGED = sql.SQL("(extract(epoch from changed) * 1000)::bigint")
_NEAR = 500
_DEVICE_MORE = sql.SQL(
    """,
  (extract(epoch from created) * 1000)::bigint,
  (
    select
      case
        when count(*) = 0 then 'none'
        when bool_or(revoked is null and (expires is null or expires > now())) then 'good'
        when bool_or(revoked is not null) then 'revoked'
        else 'expired'
      end
    from credential as c
    where c.tenant = device.tenant and c.device = device.device
  )"""
)


def columns(kind: Kind[Any]) -> sql.Composable:
    """What `made` wants, in its order."""
    fields = sql.SQL(", ").join(map(sql.Identifier, kind.checks))
    more = _DEVICE_MORE if kind is DEVICES else sql.SQL("")
    return sql.SQL("tenant, {name}, {fields}, version, {changed}{more}").format(
        name=sql.Identifier(kind.table), fields=fields, changed=_CHANGED, more=more
    )


def made(kind: Kind[Entry], row: tuple[Any, ...]) -> Entry:
    """The entry of a row of `columns`."""
    tenant, name, *fields = row
    given = dict(zip((*kind.checks, "version", "changed_ms", "created_ms", "token"), fields, strict=False))
    if "metrics" in given:
        given["metrics"] = msgspec.convert(given["metrics"], dict[str, MetricOfModel])
    if "attributes" in given:
        given["attributes"] = msgspec.convert(given["attributes"], Attributes)
    return kind.entry(tenant, name, **given)


def find(conn: Connection[Any], kind: Kind[Entry], tenant: str, name: str) -> Entry | None:
    """The entry of that very name, or None."""
    row = conn.execute(_where_name("select {columns} from {table}", kind, columns=columns(kind)), (tenant, name))
    found = row.fetchone()
    return None if found is None else made(kind, found)


def get(conn: Connection[Any], kind: Kind[Entry], tenant: str, name: str) -> Entry:
    """The entry of that very name. Raises `NotFound` with near names."""
    found = find(conn, kind, tenant, name)
    if found is None:
        raise NotFound(missing(conn, kind, tenant, name))
    return found


def save(
    conn: Connection[Any],
    kind: Kind[Entry],
    tenant: str,
    name: str,
    given: Mapping[str, Any],
    expect: int | None = None,
    merge: bool = False,
) -> Entry:
    """Writes an entry whose fields (`entries.changes`) are checked; returns it as it is then.

    `expect` is the version that it must have now (`headwater.model.version`). With `merge`, fields that are not given
    stay, and attributes are put together name by name (None takes one away); else they get their defaults. Raises
    `Conflict` if the version is another one, `NotFound` if there is none and `expect` wants one, `BadFields` if a site
    or model does not exist. The caller commits.
    """
    check_name(tenant, "tenant")
    check_name(name, kind.table)
    if kind is DEVICES:
        _need_what_it_names(conn, tenant, given)
    before = _locked(conn, kind, tenant, name, expect)
    values = _values(kind, given, before, merge)
    if before is not None and values == _values(kind, {}, before, True):
        return before  # nothing to change, and no version to use up
    add_tenant(conn, tenant)
    row = [Jsonb(value) if isinstance(value, dict) else value for value in values.values()]
    if before is None:
        _insert(conn, kind, [tenant, name, *row])
    else:
        sets = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(column)) for column in values)
        conn.execute(_where_name("update {table} set {sets}", kind, sets=sets), (*row, tenant, name))
    return get(conn, kind, tenant, name)


def remove(conn: Connection[Any], kind: Kind[Any], tenant: str, name: str, expect: int = ANY_OLD) -> None:
    """Deletes an entry. The caller commits.

    Raises `Conflict` if it has another version or devices need it, and `NotFound`.
    """
    _locked(conn, kind, tenant, name, expect)
    try:
        with conn.transaction():
            conn.execute(_where_name("delete from {table}", kind), (tenant, name))
    except psycopg.errors.ForeignKeyViolation:
        raise Conflict(
            f"expected a {kind.table} without devices, and {name!r} has some; move them first "
            f"(`headwater devices list --tenant {tenant} --{kind.table} {name}`)"
        ) from None


def missing(conn: Connection[Any], kind: Kind[Any], tenant: str, name: str) -> str:
    """What to say of a name that is not there."""
    query = sql.SQL("select {name} from {table} where tenant = %s order by position(%s in {name}) desc limit %s")
    rows = conn.execute(
        query.format(name=sql.Identifier(kind.table), table=sql.Identifier(kind.table)), (tenant, name[:3], _NEAR)
    )
    known = [row[0] for row in rows]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    advice = f"near names: {', '.join(near)}" if near else f"`headwater {kind.table}s list` shows what there is"
    return f"expected a {kind.table} of tenant {tenant!r}, got {name!r}; {advice}"


def _locked(conn: Connection[Any], kind: Kind[Entry], tenant: str, name: str, expect: int | None) -> Entry | None:
    """The entry, locked, if it has the version that is expected."""
    conn.execute(_where_name("select 1 from {table}", kind, " for no key update"), (tenant, name))
    before = find(conn, kind, tenant, name)
    if before is None and expect is not None and expect != NEW:
        raise NotFound(missing(conn, kind, tenant, name))
    if before is not None:
        check_version(f"{kind.table} {name!r}", before.version, expect)
    return before


def lock_named(conn: Connection[Any], names: Iterable[tuple[Kind[Any], str, str]]) -> None:
    """Locks models and sites (kind, tenant, name) against change, before the devices that name them are changed.

    Everybody locks models, then sites, then devices, each by name: nobody waits for somebody who waits for them.
    """
    for kind, tenant, name in sorted(set(names), key=lambda one: (one[0].table, *one[1:])):
        conn.execute(_where_name("select 1 from {table}", kind, " for share"), (tenant, name))


def _need_what_it_names(conn: Connection[Any], tenant: str, given: Mapping[str, Any]) -> None:
    """Locks site and model before the device, as their own changes do, so that its record says what they say."""
    faults = []
    for kind in (MODELS, SITES):
        name = given.get(kind.table)
        if name is not None:
            query = _where_name("select 1 from {table}", kind, " for share")
            if conn.execute(query, (tenant, name)).fetchone() is None:
                faults.append(Fault(kind.table, missing(conn, kind, tenant, name)))
    if faults:
        raise BadFields(faults)


def _values(kind: Kind[Any], given: Mapping[str, Any], before: Any, merge: bool) -> dict[str, Any]:
    """Every column as it is to be, in plain types."""
    base = before if merge and before is not None else kind.entry("", "")
    values: dict[str, Any] = {name: given.get(name, getattr(base, name)) for name in kind.checks}
    if "attributes" in given:
        values["attributes"] = _put_together(base, given["attributes"])
    plain: dict[str, Any] = msgspec.to_builtins(values)
    return plain


def _put_together(base: Device, given: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    old: dict[str, dict[str, Any]] = msgspec.to_builtins(base.attributes)
    return {
        scope: {name: value for name, value in (kept | dict(given.get(scope, {}))).items() if value is not None}
        for scope, kept in old.items()
    }


def _insert(conn: Connection[Any], kind: Kind[Any], row: list[Any]) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, ("tenant", kind.table, *kind.checks)))
    marks = sql.SQL(", ").join([sql.Placeholder()] * len(row))
    query = sql.SQL("insert into {table} ({names}) values ({marks})")
    try:
        conn.execute(query.format(table=sql.Identifier(kind.table), names=names, marks=marks), row)
    except psycopg.errors.UniqueViolation:
        raise Conflict(f"expected no {kind.table} {row[1]!r} yet, and somebody has just made it; read it") from None


def _where_name(query: Any, kind: Kind[Any], end: Any = "", **parts: sql.Composable) -> sql.Composed:
    text = sql.SQL(query + " where tenant = %s and {name} = %s" + end)
    return text.format(table=sql.Identifier(kind.table), name=sql.Identifier(kind.table), **parts)
