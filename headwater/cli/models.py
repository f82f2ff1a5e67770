"""Commands for models: kinds of devices, and what their metrics mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from headwater.cli import keys, registered
from headwater.cli.registered import Json, Only, Version, add_files, database, given, tell, tell_all
from headwater.model.errors import BadFields, BadRequest, Fault
from headwater.model.version import NEW
from headwater.registry import search, store
from headwater.registry.entries import MODELS, changes
from headwater.registry.fields import take

app = typer.Typer(no_args_is_help=True, help="Models: kinds of devices, and what their metrics mean.")
add_files(app, MODELS)
app.add_typer(keys.app, name="keys")


@app.command()
def add(
    tenant: str,
    model: str,
    title: Annotated[str | None, typer.Option(help="its name for people")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="NAME=UNIT, once a metric; `apply` says more")] = None,
    as_json: Json = False,
) -> None:
    """Make a model."""
    with database() as connection:
        units = dict(one.partition("=")[::2] for one in metric or [])
        metrics = {name: {"unit": unit} for name, unit in units.items()}
        fields = changes(MODELS, given(title=title, metrics=metrics))
        made = store.save(connection, MODELS, tenant, model, fields, NEW)
    tell(made, as_json)


@app.command(name="list")
def list_(tenant: Only = "", as_json: Json = False) -> None:
    """Show all models."""
    with database() as connection:
        found = search.entries(connection, MODELS, tenant)
    tell_all(found, ("tenant", "model", "title", "metrics", "version"), as_json)


@app.command()
def show(tenant: str, model: str, as_json: Json = False) -> None:
    """Show one model."""
    with database() as connection:
        found = store.get(connection, MODELS, tenant, model)
    tell(found, as_json)


@app.command()
def delete(tenant: str, model: str, version: Version = None, as_json: Json = False) -> None:
    """Delete a model and its provisioning keys. One that devices have is not deleted: give them another first."""
    registered.delete(MODELS, tenant, model, version, as_json)


def read(text: str, name: str) -> dict[str, dict[str, Any]]:
    """The models of a file (YAML or JSON), `models: {pump: {title, metrics: {flow: {unit, scale, ...}}}}`, checked.

    Raises `BadRequest`, or `BadFields` with every fault.
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadRequest(f"{name}: expected YAML; {error}") from error
    if not isinstance(data, dict) or list(data) != ["models"] or not isinstance(data["models"], dict):
        raise BadRequest(f"{name}: expected `models:` and below it a model's name each, and nothing else")
    checked: dict[str, dict[str, Any]] = {}
    faults: list[Fault] = []
    for model, about in data["models"].items():
        place = f"models.{model}"
        if not isinstance(about, dict):
            faults.append(Fault(place, f"expected title and metrics, got {about!r}"))
            continue
        checked[str(model)], wrong = take(about, MODELS.checks, f"{place}.")
        faults += wrong
    if faults:
        raise BadFields(faults)
    return checked


@app.command()
def apply(
    file: Path,
    tenant: Annotated[str, typer.Option(help="whose models they are")] = "demo",
    as_json: Json = False,
) -> None:
    """Make or change the models of a YAML file: all of them or none. A change is one of every device of the model."""
    done = []
    with database() as connection:
        for model, fields in read(registered.text_of(file), file.name).items():
            before = store.find(connection, MODELS, tenant, model)
            after = store.save(connection, MODELS, tenant, model, fields)
            what = "added" if before is None else "same" if before.version == after.version else "changed"
            done.append({"tenant": tenant, "model": model, "what": what, "version": after.version})
    if as_json:
        typer.echo(json.dumps(done))
        return
    for one in done:
        typer.echo(f"{one['tenant']}/{one['model']}\t{one['what']}")
