"""Commands for the tokens of devices."""

from __future__ import annotations

import json
import re
from typing import Annotated

import typer

from headwater import registry
from headwater.cli.registered import Json, database
from headwater.cli.show import console
from headwater.model.errors import BadRequest

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def seconds(text: str, field: str) -> int:
    """`90s`, `10m`, `12h`, `30d` in seconds. Raises `BadRequest` with `field`."""
    found = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if found is None:
        raise BadRequest(f"expected a time as 90s, 10m, 12h or 30d, got {text!r}", field)
    return int(found[1]) * _SECONDS[found[2]]


def rotate(
    tenant: str,
    device: str,
    overlap: Annotated[str, typer.Option(help="how long the old token stays good, as 10m or 2d; 0s for not at all")] = (
        "1d"
    ),
    expires: Annotated[str, typer.Option(help="when the new token ends by itself, as 90d; never if not given")] = "",
    as_json: Json = False,
) -> None:
    """Give a device a new token, beside which the old one stays good for an overlap."""
    token = registry.new_token()
    with database() as connection:
        ends = seconds(expires, "expires") if expires else None
        registry.rotate(connection, tenant, device, token, seconds(overlap, "overlap"), ends)
    if as_json:
        typer.echo(json.dumps({"tenant": tenant, "device": device, "token": token}))
        return
    console.print(f"[bold]{tenant}/{device}[/bold]  token (shown once): [bold]{token}[/bold]")


def revoke(tenant: str, device: str, as_json: Json = False) -> None:
    """Withdraw every token of a device: its connections end at once, and it does not come in again."""
    with database() as connection:
        registry.revoke(connection, tenant, device)
    if as_json:
        typer.echo(json.dumps({"tenant": tenant, "device": device, "token": None}))
        return
    console.print(f"[bold]{tenant}/{device}[/bold]  revoked; `headwater devices add` gives it a new token")
