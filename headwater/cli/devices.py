"""Commands for devices: what is known of them, and files of many."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from headwater import registry
from headwater.cli import device_versions, registered, tokens
from headwater.cli.registered import (
    AsNdjson,
    FileForm,
    Json,
    LinesOf,
    Only,
    Version,
    attributes,
    database,
    given,
    tell,
    tell_all,
)
from headwater.cli.show import console
from headwater.cli.snippets import mosquitto_line, python_snippet
from headwater.model.settings import Settings
from headwater.model.version import ANY_OLD
from headwater.registry import search, store
from headwater.registry.entries import DEVICES, changes
from headwater.registry.files import Format

app = typer.Typer(no_args_is_help=True, help="Devices and their tokens.")
app.command()(tokens.rotate)
app.command()(tokens.revoke)
app.command()(device_versions.versions)

Kind = Annotated[str | None, typer.Option(help="what it is, in a word")]
Site = Annotated[str | None, typer.Option(help="the site that it is at; '' for none")]
Model = Annotated[str | None, typer.Option(help="the model that says what its metrics mean; '' for none")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="once a tag; all that it is to have; '' for none")]
Attributes = Annotated[
    list[str] | None, typer.Option("--attribute", help="server.NAME=VALUE (or shared, client); no VALUE takes it away")
]


def _fields(
    kind: str | None, site: str | None, model: str | None, tags: list[str] | None, facts: list[str] | None
) -> dict[str, Any]:
    about = given(kind=kind, site=site, model=model, tags=tags)
    return changes(DEVICES, about | ({"attributes": attributes(facts)} if facts else {}))


@app.command()
def add(
    tenant: str,
    device: str,
    kind: Kind = None,
    site: Site = None,
    model: Model = None,
    tag: Tags = None,
    attribute: Attributes = None,
    as_json: Json = False,
) -> None:
    """Make a token for a device (a new one, if it has one) and show how to send with it."""
    settings, token = Settings(), registry.new_token()
    with database() as connection:
        store.save(connection, DEVICES, tenant, device, _fields(kind, site, model, tag, attribute), merge=True)
        registry.give_only(connection, tenant, device, token)
    if as_json:
        typer.echo(json.dumps({"tenant": tenant, "device": device, "token": token}))
        return
    console.print(f"[bold]{tenant}/{device}[/bold]  token (shown once): [bold]{token}[/bold]\n")
    typer.echo(mosquitto_line(settings.mqtt, tenant, device, token))
    typer.echo("\n" + python_snippet(settings.mqtt, tenant, device, token))


@app.command(name="import")
def import_(file: Path, tenant: LinesOf = "", as_json: Json = False) -> None:
    """Make or change the devices of a file (CSV, NDJSON): all of them or none. Prints tenant,device,token of new ones.

    What the file does not say of a device stays, its token too.
    """
    registered.import_file(DEVICES, file, tenant, as_json, lambda one: f"{one.tenant},{one.name},{one.token or ''}")


@app.command()
def export(tenant: Only = "", form: FileForm = Format.CSV, as_json: AsNdjson = False) -> None:
    """Print all devices as a file that `import` takes. Tokens are not in it: nobody can read them back."""
    with database() as connection:
        found = search.devices(connection, search.Wanted(tenant))
    registered.tell_file(DEVICES, found, Format.NDJSON if as_json else form)


@app.command(name="list")
def list_(
    tenant: Only = "",
    site: Annotated[str | None, typer.Option(help="only at this site")] = None,
    model: Annotated[str | None, typer.Option(help="only of this model")] = None,
    tag: Annotated[str | None, typer.Option(help="only with this tag")] = None,
    as_json: Json = False,
) -> None:
    """Show the registered devices."""
    with database() as connection:
        found = search.devices(connection, search.Wanted(tenant, site, model, tag))
    tell_all(found, ("tenant", "device", "kind", "site", "model", "tags", "token"), as_json)


@app.command()
def show(tenant: str, device: str, as_json: Json = False) -> None:
    """Show one device, and the tokens that it ever had (never themselves)."""
    with database() as connection:
        found = store.get(connection, DEVICES, tenant, device)
        issued = registry.issued(connection, tenant, device)
    tell(found, as_json)
    if not as_json:
        for one in issued:
            end = f", expires {one.expires:%Y-%m-%dT%H:%MZ}" if one.expires else ""
            console.print(f"[bold]token       [/bold] of {one.created:%Y-%m-%dT%H:%MZ}: {one.state}{end}")


@app.command(name="set")
def set_(
    tenant: str,
    device: str,
    kind: Kind = None,
    site: Site = None,
    model: Model = None,
    tag: Tags = None,
    attribute: Attributes = None,
    version: Version = None,
    as_json: Json = False,
) -> None:
    """Change what is given; the rest stays. Readings have it from the log time of the change on."""
    with database() as connection:
        fields = _fields(kind, site, model, tag, attribute)
        made = store.save(connection, DEVICES, tenant, device, fields, version or ANY_OLD, merge=True)
    tell(made, as_json)


@app.command()
def move(tenant: str, device: str, site: str, version: Version = None, as_json: Json = False) -> None:
    """Move a device to another site: readings count there from the log time of the change on."""
    with database() as connection:
        fields = changes(DEVICES, {"site": site})
        made = store.save(connection, DEVICES, tenant, device, fields, version or ANY_OLD, merge=True)
    tell(made, as_json)


@app.command()
def delete(tenant: str, device: str, version: Version = None, as_json: Json = False) -> None:
    """Delete a device and its tokens: its connections end at once. Its readings stay."""
    registered.delete(DEVICES, tenant, device, version, as_json)
