"""Commands for sites: places with devices, each with a time zone."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli import registered
from headwater.cli.registered import Json, Only, Version, add_files, database, given, tell, tell_all
from headwater.model.version import ANY_OLD, NEW
from headwater.registry import search, store
from headwater.registry.entries import SITES, changes

app = typer.Typer(no_args_is_help=True, help="Sites: places with devices, each with a time zone.")
add_files(app, SITES)

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
def list_(tenant: Only = "", as_json: Json = False) -> None:
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


@app.command()
def delete(tenant: str, site: str, version: Version = None, as_json: Json = False) -> None:
    """Delete a site. One that devices are at is not deleted: move them first."""
    registered.delete(SITES, tenant, site, version, as_json)
