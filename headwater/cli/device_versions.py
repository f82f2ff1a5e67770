"""The command for what a device was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import typer
from rich.markup import escape

from headwater.cli.registered import Json, database
from headwater.cli.show import console
from headwater.cli.when import shown
from headwater.model.device import DeviceRecord
from headwater.registry import history

_NOT_SAID = ("v", "tenant", "device", "version", "changed_ms", "deleted")


def versions(tenant: str, device: str, as_json: Json = False) -> None:
    """Show the versions of a device, oldest first, and what each has changed; also of one that is deleted."""
    with database() as connection:
        found = history.versions(connection, tenant, device)
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    before: DeviceRecord | None = None
    for one in found:
        what = _what(before, one)
        console.print(f"[bold]{one.version}[/bold]  {shown(one.changed_ms)}  {what}")
        if what == "changed":
            for field, old, new in _differences(before, one):
                console.print(f"    {escape(field)}: {escape(old)} → {escape(new)}")
        elif what != "deleted":
            for field, _, new in _differences(None, one):
                console.print(f"    {escape(field)}: {escape(new)}")
        before = one


def _what(before: DeviceRecord | None, after: DeviceRecord) -> str:
    if after.deleted:
        return "deleted"
    if before is None:
        return "first kept"
    return "made again" if before.deleted else "changed"


def _differences(before: DeviceRecord | None, after: DeviceRecord) -> Iterator[tuple[str, str, str]]:
    """(field, before, after) of each field that differs; a dash where there is none."""
    old, new = (dict(_flat(msgspec.to_builtins(one))) if one else {} for one in (before, after))
    for field in sorted({*old, *new}):
        if old.get(field, "-") != new.get(field, "-"):
            yield field, old.get(field, "-"), new.get(field, "-")


def _flat(data: dict[str, Any], at: str = "") -> Iterator[tuple[str, str]]:
    for name, value in data.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{at}{name}.")
        elif (at or name not in _NOT_SAID) and value not in (None, "", []):
            yield at + name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
