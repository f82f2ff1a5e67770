"""Devices as files: CSV and NDJSON, in and out. What goes out comes in again unchanged.

CSV has a heading of `tenant,device,kind,site,model,tags` (any of them but `device` may be left out) and a column for
each attribute, `server.serial`; tags have `;` between them; an attribute's cell is JSON if it reads as a number,
boolean or quoted text, else plain text. NDJSON has one object a line, with the fields of the REST API.
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
from headwater.registry.entries import DEVICES, MODELS, SCOPES, SITES, Device
from headwater.registry.names import check_name

MOST_FAULTS = 100
"""So many are told of one file; more would hide what they have in common."""

_PLAIN = ("tenant", "device", *(name for name in DEVICES.checks if name != "attributes"))


class Format(StrEnum):
    """How a file is written."""

    CSV = "csv"
    NDJSON = "ndjson"


@dataclass
class Line:
    """A device as one line of a file gives it: `given` is checked, and holds only what the line says."""

    number: int
    tenant: str
    device: str
    given: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Loaded:
    """What an import did with a line: `token` is that of a device that had none, to be shown once."""

    tenant: str
    device: str
    what: str
    token: str | None


def read(text: str, form: Format, tenant: str = "") -> list[Line]:
    """The devices of a file; `tenant` is that of lines that name none. Raises `BadFields` by line and field."""
    faults: list[Fault] = []
    lines: list[Line] = []
    seen: dict[tuple[str, str], int] = {}
    for number, given in _csv(text, faults) if form is Format.CSV else _ndjson(text, faults):
        line = _line(number, given, tenant, faults)
        if line is None:
            continue
        before = seen.setdefault((line.tenant, line.device), number)
        if before != number:
            faults.append(Fault(f"line {number}: device", f"expected each device once, got it on line {before} too"))
        lines.append(line)
    _raise(faults)
    return lines


def load(conn: Connection[Any], lines: Iterable[Line]) -> list[Loaded]:
    """Writes all devices, or none: fields that a line does not have stay, and a device without a token gets one.

    Raises `BadFields` by line and field if a site or model does not exist. The caller commits.
    """
    faults: list[Fault] = []
    done = {}
    by_name = sorted(lines, key=lambda line: (line.tenant, line.device))
    store.lock_named(
        conn,
        (
            (kind, line.tenant, line.given[kind.table])
            for line in by_name
            for kind in (MODELS, SITES)
            if line.given.get(kind.table) is not None
        ),
    )
    for line in by_name:
        try:
            before = store.find(conn, DEVICES, line.tenant, line.device)
            saved = store.save(conn, DEVICES, line.tenant, line.device, line.given, merge=True)
        except BadFields as error:
            faults += [Fault(f"line {line.number}: {fault.field}", fault.message) for fault in error.faults]
            continue
        what = "added" if before is None else "same" if before.version == saved.version else "changed"
        token = None
        if saved.token == "none":  # noqa: S105  # a state, not a secret
            token = new_token()
            give_only(conn, line.tenant, line.device, token)
        done[line.number] = Loaded(line.tenant, line.device, what, token)
    _raise(sorted(faults, key=lambda fault: int(fault.field.removeprefix("line ").partition(":")[0])))
    return [done[number] for number in sorted(done)]


def write(devices: Iterable[Device], form: Format) -> Iterator[str]:
    """The file, in pieces."""
    if form is Format.NDJSON:
        for device in devices:
            yield msgspec.json.encode(plain(device)).decode() + "\n"
        return
    listed = list(devices)
    attributes = sorted({name for device in listed for name in _flat(device)})
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow((*_PLAIN, *attributes))
    for device in listed:
        cells = [";".join(device.tags) if name == "tags" else getattr(device, name) or "" for name in _PLAIN]
        flat = _flat(device)
        table.writerow((*cells, *(_cell(flat[name]) if name in flat else "" for name in attributes)))
    yield out.getvalue()


def plain(device: Device) -> dict[str, Any]:
    """What a file says of a device: all that a change may say."""
    return {name: getattr(device, name) for name in (*_PLAIN, "attributes")}


def _raise(faults: list[Fault]) -> None:
    if len(faults) > MOST_FAULTS:
        more = Fault("", f"and {len(faults) - MOST_FAULTS} more; correct these first")
        faults = [*faults[:MOST_FAULTS], more]
    if faults:
        raise BadFields(faults)


def _line(number: int, given: dict[str, Any], default: str, faults: list[Fault]) -> Line | None:
    at = f"line {number}: "
    names = {}
    for name in ("tenant", "device"):
        value = given.pop(name, "") or (default if name == "tenant" else "")
        try:
            names[name] = check_name(str(value), name)
        except BadRequest as error:
            faults.append(Fault(at + name, str(error)))
    taken, wrong = fields.take(
        {name: value for name, value in given.items() if name not in entries.READ_ONLY}, DEVICES.checks, at
    )
    faults += wrong
    return None if len(names) < 2 else Line(number, names["tenant"], names["device"], taken)


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


def _csv(text: str, faults: list[Fault]) -> Iterator[tuple[int, dict[str, Any]]]:
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    heading: list[str] | None = None
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if heading is None:
                heading = _heading(cells, rows.line_num, faults)
                if heading is not None:
                    continue
                heading = list(_PLAIN[:3])
            if len(cells) > len(heading) or (len(cells) < 2 and len(heading) > 1):
                expected = ",".join(heading)
                faults.append(Fault(f"line {rows.line_num}", f"expected {expected}, got {fields.shown(','.join(row))}"))
                continue
            yield rows.line_num, _cells(dict(zip(heading, cells, strict=False)))
    except csv.Error as error:
        faults.append(Fault(f"line {rows.line_num}", f"expected CSV as RFC 4180 has it: {error}"))


def _heading(cells: list[str], number: int, faults: list[Fault]) -> list[str] | None:
    """The columns, if the first line is a heading; files of earlier releases have none."""
    if "device" not in cells and "tenant" not in cells:
        return None
    known = (*_PLAIN, *entries.READ_ONLY)
    scopes = tuple(f"{scope}.<attribute>" for scope in SCOPES)
    for cell in cells:
        scope, dot, name = cell.partition(".")
        if cell not in known and not (dot and name and scope in SCOPES):
            faults.append(fields.unknown(f"line {number}", cell, (*_PLAIN, *scopes)))
    if "device" not in cells:
        faults.append(Fault(f"line {number}", f"expected a column device, got {fields.shown(','.join(cells))}"))
    _raise(faults)
    return cells


def _cells(row: dict[str, str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    attributes: dict[str, dict[str, Scalar]] = {}
    for column, cell in row.items():
        scope, dot, name = column.partition(".")
        if not dot:
            given[column] = cell
        elif cell:
            attributes.setdefault(scope, {})[name] = _scalar(cell)
    return given | ({"attributes": attributes} if attributes else {})


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


def _flat(device: Device) -> dict[str, Scalar]:
    return {f"{scope}.{name}": value for scope in SCOPES for name, value in getattr(device.attributes, scope).items()}
