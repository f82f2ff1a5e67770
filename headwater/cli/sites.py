"""Commands for sites: places with devices, each with a time zone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import registered
from headwater.cli.registered import AsNdjson, FileForm, Json, LinesOf, Version, database, given, tell, tell_all
from headwater.model.version import ANY_OLD, NEW
from headwater.registry import search, store
from headwater.registry.entries import SITES, changes
from headwater.registry.files import Format

app = typer.Typer(no_args_is_help=True, help="Sites: places with devices, each with a time zone.")

Title = Annotated[str | None, typer.Option(help="its name for people")]
Zone = Annotated[str | None, typer.Option(help="time zone, as Europe/Berlin")]
Place = Annotated[str | None, typer.Option(help="where it is, for people")]


@app.command()
def add(
    tenant: str, site: str, title: Title = None, zone: Zone = None, place: Place = None, as_json: Json = False
) -> None:
    """Make a site."""
    with database() as connection:
        fields = changes(SITES, given(title=title, zone=zone, place=place))
        made = store.save(connection, SITES, tenant, site, fields, NEW)
    tell(made, as_json)


@app.command(name="list")
def list_(tenant: Annotated[str, typer.Option(help="only of this tenant")] = "", as_json: Json = False) -> None:
    """Show all sites."""
    with database() as connection:
        found = search.entries(connection, SITES, tenant)
    tell_all(found, ("tenant", "site", "title", "zone", "place", "version"), as_json)


@app.command()
def show(tenant: str, site: str, as_json: Json = False) -> None:
    """Show one site."""
    with database() as connection:
        found = store.get(connection, SITES, tenant, site)
    tell(found, as_json)


@app.command(name="set")
def set_(
    tenant: str,
    site: str,
    title: Title = None,
    zone: Zone = None,
    place: Place = None,
    version: Version = None,
    as_json: Json = False,
) -> None:
    """Change what is given; the rest stays. A change of the time zone is one of every device of the site."""
    with database() as connection:
        fields = changes(SITES, given(title=title, zone=zone, place=place))
        made = store.save(connection, SITES, tenant, site, fields, version or ANY_OLD, merge=True)
    tell(made, as_json)


@app.command(name="import")
def import_(file: Path, tenant: LinesOf = "", as_json: Json = False) -> None:
    """Make or change the sites of a file (CSV, NDJSON): all of them or none. What the file does not say stays."""
    registered.import_file(SITES, file, tenant, as_json)


@app.command()
def export(
    tenant: Annotated[str, typer.Option(help="only of this tenant")] = "",
    form: FileForm = Format.CSV,
    as_json: AsNdjson = False,
) -> None:
    """Print all sites as a file that `import` takes."""
    registered.export_file(SITES, tenant, Format.NDJSON if as_json else form)


@app.command()
def delete(tenant: str, site: str, version: Version = None, as_json: Json = False) -> None:
    """Delete a site. One that devices are at is not deleted: move them first."""
    registered.delete(SITES, tenant, site, version, as_json)
