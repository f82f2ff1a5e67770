"""Commands for provisioning keys, with which devices of a model register themselves."""

from __future__ import annotations

import json
from typing import Annotated

import msgspec
import typer
from rich.markup import escape

from headwater import registry
from headwater.cli.registered import Json, Version, database, tell, tell_all
from headwater.cli.show import console
from headwater.cli.snippets import provision_lines
from headwater.cli.tokens import seconds
from headwater.model.settings import BrokerSettings
from headwater.registry import keys

app = typer.Typer(no_args_is_help=True, help="Provisioning keys: with one, a device of the model registers itself.")


@app.command()
def add(
    tenant: str,
    model: str,
    expires: Annotated[str, typer.Option(help="when it ends by itself, as 12h or 30d; never if not given")] = "",
    uses: Annotated[int | None, typer.Option(help="how many devices it may register; any number if not given")] = None,
    as_json: Json = False,
) -> None:
    """Make a provisioning key, and show how a device registers itself with it."""
    key = registry.new_token()
    with database() as connection:
        limits = keys.limits({"expires_s": seconds(expires, "expires") if expires else None, "most_uses": uses})
        made = keys.add(connection, tenant, model, key, limits)
    if as_json:
        typer.echo(json.dumps({**msgspec.to_builtins(made), "key": key}))
        return
    console.print(f"[bold]{escape(f'{tenant}/{model}')}[/bold]  key {made.id} (shown once): [bold]{key}[/bold]\n")
    settings = BrokerSettings()
    typer.echo(provision_lines(settings.mqtt, settings.api, key))
    if settings.unknown_devices != "claim":
        console.print(
            "\n[yellow]Unknown devices are refused[/yellow]: set HEADWATER_UNKNOWN_DEVICES=claim, and restart."
        )


@app.command(name="list")
def list_(tenant: str, model: str, as_json: Json = False) -> None:
    """Show the provisioning keys that a model ever had (never themselves)."""
    with database() as connection:
        found = keys.of_model(connection, tenant, model)
    tell_all(found, ("id", "state", "uses", "most_uses", "created_ms", "expires_ms", "version"), as_json)


@app.command()
def revoke(
    tenant: str,
    model: str,
    key: Annotated[str, typer.Argument(help="its id, as `list` shows it")],
    version: Version = None,
    as_json: Json = False,
) -> None:
    """Withdraw a provisioning key. The devices that it has registered stay."""
    with database() as connection:
        gone = keys.revoke(connection, tenant, model, key, version)
    tell(gone, as_json)
