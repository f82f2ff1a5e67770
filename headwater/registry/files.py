"""Devices, sites and models as files: CSV and NDJSON, in and out. What goes out comes in again unchanged.

CSV has a heading: `tenant,device,kind,site,model,tags` and a column for each attribute, `server.serial`;
`tenant,site,title,zone,place`; `tenant,model,title,metrics`. Any column but the name may be left out. Tags have `;`
between them; an attribute's cell is JSON if it reads as a number, boolean or quoted text, else plain text; the cell of
metrics is JSON. NDJSON has one object a line, with the fields of the REST API.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec
from psycopg import Connection

from headwater.model.device import Scalar
from headwater.model.errors import BadFields, BadRequest, Fault
from headwater.registry import entries, fields, store
from headwater.registry.credentials import give_only, new_token
from headwater.registry.entries import DEVICES, MODELS, SCOPES, SITES, Kind
from headwater.registry.names import check_name

MOST_FAULTS = 100
"""So many are told of one file; more would hide what they have in common."""

_OLD_HEADING = ("tenant", "device", "kind")
"""What the columns of a file of devices are that has no heading, as in earlier releases."""


class Format(StrEnum):
    """How a file is written."""

    CSV = "csv"
    NDJSON = "ndjson"


@dataclass
class Line:
    """An entry as one line of a file gives it: `given` is checked, and holds only what the line says."""

    number: int
    tenant: str
    name: str
    given: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Loaded:
    """What an import did with a line: `token` is that of a device that had none, to be shown once."""

    tenant: str
    name: str
    what: str
    token: str | None = None

    def plain(self, kind: Kind[Any]) -> dict[str, Any]:
        """As it is answered; only devices have tokens."""
        said = {"tenant": self.tenant, kind.table: self.name, "what": self.what}
        return said | ({"token": self.token} if kind is DEVICES else {})


def read(text: str, form: Format, kind: Kind[Any], tenant: str = "") -> list[Line]:
    """The entries of a file; `tenant` is that of lines that name none. Raises `BadFields` by line and field."""
    faults: list[Fault] = []
    lines: list[Line] = []
    seen: dict[tuple[str, str], int] = {}
    for number, given in _csv(text, kind, faults) if form is Format.CSV else _ndjson(text, faults):
        line = _line(number, given, kind, tenant, faults)
        if line is None:
            continue
        before = seen.setdefault((line.tenant, line.name), number)
        if before != number:
            what = f"expected each {kind.table} once, got it on line {before} too"
            faults.append(Fault(f"line {number}: {kind.table}", what))
        lines.append(line)
    _raise(faults)
    return lines


def load(conn: Connection[Any], kind: Kind[Any], lines: Iterable[Line]) -> list[Loaded]:
    """Writes all entries, or none: fields that a line does not have stay, and a device without a token gets one.

    Raises `BadFields` by line and field if a site or model does not exist. The caller commits.
    """
    faults: list[Fault] = []
    done = {}
    by_name = sorted(lines, key=lambda line: (line.tenant, line.name))
    store.lock_named(
        conn,
        (
            (other, line.tenant, line.given[other.table])
            for line in by_name
            for other in (MODELS, SITES)
            if line.given.get(other.table) is not None
        ),
    )
    for line in by_name:
        try:
            before = store.find(conn, kind, line.tenant, line.name)
            saved = store.save(conn, kind, line.tenant, line.name, line.given, merge=True)
        except BadFields as error:
            faults += [Fault(f"line {line.number}: {fault.field}", fault.message) for fault in error.faults]
            continue
        what = "added" if before is None else "same" if before.version == saved.version else "changed"
        token = None
        if kind is DEVICES and saved.token == "none":  # noqa: S105  # a state, not a secret
            token = new_token()
            give_only(conn, line.tenant, line.name, token)
        done[line.number] = Loaded(line.tenant, line.name, what, token)
    _raise(sorted(faults, key=lambda fault: int(fault.field.removeprefix("line ").partition(":")[0])))
    return [done[number] for number in sorted(done)]


def write(listed: Iterable[Any], form: Format, kind: Kind[Any]) -> Iterator[str]:
    """The file, in pieces: of each entry all that a change may say."""
    if form is Format.NDJSON:
        names = ("tenant", kind.table, *kind.checks)
        for entry in listed:
            yield msgspec.json.encode({name: getattr(entry, name) for name in names}).decode() + "\n"
        return
    rows, columns = list(listed), _columns(kind)
    attributes = sorted({name for entry in rows for name in _flat(entry)}) if kind is DEVICES else []
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow((*columns, *attributes))
    for entry in rows:
        flat = _flat(entry) if attributes else {}
        cells = (_told(name, getattr(entry, name)) for name in columns)
        table.writerow((*cells, *(_cell(flat[name]) if name in flat else "" for name in attributes)))
    yield out.getvalue()


def _columns(kind: Kind[Any]) -> tuple[str, ...]:
    """The columns that every file of a kind may have."""
    return ("tenant", kind.table, *(name for name in kind.checks if name != "attributes"))


def _told(column: str, value: Any) -> str:
    if column == "metrics":
        return msgspec.json.encode(value).decode()
    return ";".join(value) if column == "tags" else value or ""


def _raise(faults: list[Fault]) -> None:
    if len(faults) > MOST_FAULTS:
        more = Fault("", f"and {len(faults) - MOST_FAULTS} more; correct these first")
        faults = [*faults[:MOST_FAULTS], more]
    if faults:
        raise BadFields(faults)


def _line(number: int, given: dict[str, Any], kind: Kind[Any], default: str, faults: list[Fault]) -> Line | None:
    at = f"line {number}: "
    names = {}
    for name in ("tenant", kind.table):
        value = given.pop(name, "") or (default if name == "tenant" else "")
        try:
            names[name] = check_name(str(value), name)
        except BadRequest as error:
            faults.append(Fault(at + name, str(error)))
    taken, wrong = fields.take(
        {name: value for name, value in given.items() if name not in entries.READ_ONLY}, kind.checks, at
    )
    faults += wrong
    return None if len(names) < 2 else Line(number, names["tenant"], names[kind.table], taken)


def _ndjson(text: str, faults: list[Fault]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            given = json.loads(line)
        except json.JSONDecodeError as error:
            faults.append(Fault(f"line {number}", f"expected a JSON object, got {fields.shown(line)}: {error.msg}"))
            continue
        if isinstance(given, dict):
            yield number, given
        else:
            faults.append(Fault(f"line {number}", f"expected a JSON object, got {fields.shown(given)}"))


def _csv(text: str, kind: Kind[Any], faults: list[Fault]) -> Iterator[tuple[int, dict[str, Any]]]:
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    heading: list[str] | None = None
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if heading is None:
                heading = _heading(cells, kind, rows.line_num, faults)
                if heading is not None:
                    continue
                heading = list(_OLD_HEADING)
            if len(cells) > len(heading) or (len(cells) < 2 and len(heading) > 1):
                expected = ",".join(heading)
                faults.append(Fault(f"line {rows.line_num}", f"expected {expected}, got {fields.shown(','.join(row))}"))
                continue
            yield rows.line_num, _given(dict(zip(heading, cells, strict=False)), kind)
    except csv.Error as error:
        faults.append(Fault(f"line {rows.line_num}", f"expected CSV as RFC 4180 has it: {error}"))


def _heading(cells: list[str], kind: Kind[Any], number: int, faults: list[Fault]) -> list[str] | None:
    """The columns, if the first line is a heading; files of devices of earlier releases have none."""
    if kind is DEVICES and kind.table not in cells and "tenant" not in cells:
        return None
    columns = _columns(kind)
    scopes = tuple(f"{scope}.<attribute>" for scope in SCOPES) if kind is DEVICES else ()
    for cell in cells:
        scope, dot, name = cell.partition(".")
        if cell not in (*columns, *entries.READ_ONLY) and not (scopes and dot and name and scope in SCOPES):
            faults.append(fields.unknown(f"line {number}", cell, (*columns, *scopes)))
    if kind.table not in cells:
        got = fields.shown(",".join(cells))
        faults.append(Fault(f"line {number}", f"expected a heading with a column {kind.table}, got {got}"))
    _raise(faults)
    return cells


def _given(row: dict[str, str], kind: Kind[Any]) -> dict[str, Any]:
    if kind is not DEVICES:
        return {column: _metrics(cell) if column == "metrics" else cell for column, cell in row.items()}
    given: dict[str, Any] = {}
    attributes: dict[str, dict[str, Scalar]] = {}
    for column, cell in row.items():
        scope, dot, name = column.partition(".")
        if not dot:
            given[column] = cell
        elif cell:
            attributes.setdefault(scope, {})[name] = _scalar(cell)
    return given | ({"attributes": attributes} if attributes else {})


def _metrics(cell: str) -> Any:
    """JSON, or the text itself, of which the check says what was expected; nothing is no metric."""
    try:
        return json.loads(cell) if cell else {}
    except json.JSONDecodeError:
        return cell


def _scalar(cell: str) -> Scalar:
    try:
        value = json.loads(cell, parse_constant=str)
    except json.JSONDecodeError:
        return cell
    return value if isinstance(value, str | bool | int | float) else cell


def _cell(value: Scalar) -> str:
    """`value` so that `_scalar` gives it back."""
    if value and isinstance(value, str) and _scalar(value) == value == value.strip():
        return value
    return json.dumps(value, ensure_ascii=False)


def _flat(device: entries.Device) -> dict[str, Scalar]:
    return {f"{scope}.{name}": value for scope in SCOPES for name, value in getattr(device.attributes, scope).items()}
