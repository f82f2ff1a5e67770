"""Commands for tenants: who owns sites, models, devices and rules."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli import registered
from headwater.cli.registered import Json, database
from headwater.registry import tenants

app = typer.Typer(no_args_is_help=True, help="Tenants: who owns sites, models, devices and rules.")


@app.command()
def add(
    tenant: str,
    title: Annotated[str | None, typer.Option(help="its name for people")] = None,
    as_json: Json = False,
) -> None:
    """Make a tenant. One that is there stays, and gets the title that is given."""
    with database() as connection:
        fields = tenants.given(tenant, registered.given(title=title))
        made, _ = tenants.save(connection, tenant, fields)
    registered.tell(made, as_json)


@app.command(name="list")
def list_(as_json: Json = False) -> None:
    """Show all tenants, and how many devices each has."""
    with database() as connection:
        found = tenants.all_of_them(connection)
    registered.tell_all(found, ("tenant", "title", "devices"), as_json)
