"""Commands for rules: what is an alert, kept as files and applied whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import psycopg
import typer
import yaml
from rich.markup import escape

from headwater import rule_store
from headwater.cli.show import console, told
from headwater.model.errors import BadFields, BadRequest, Fault, StackError
from headwater.model.rule import Draft, RuleFile
from headwater.model.settings import Settings
from headwater.rule_store import Change
from headwater.rules.check import checked

app = typer.Typer(no_args_is_help=True, help="Rules: which readings are an alert.")

Json = Annotated[bool, typer.Option("--json", help="for scripts")]
Tenant = Annotated[str, typer.Option(help="whose rules")]

_MARK = {"created": "[green]+[/green]", "changed": "[yellow]~[/yellow]", "same": " ", "deleted": "[red]-[/red]"}


def read(path: Path) -> RuleFile:
    """The rules of a file, in YAML or JSON. Raises `BadRequest`, with a fault for each field that is wrong."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        data = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"expected a file of rules at {path}, got: {error}; check the path", "file") from error
    except (yaml.YAMLError, json.JSONDecodeError) as error:
        said = " ".join(str(error).split())
        raise BadRequest(f"expected YAML (or JSON, in a .json) in {path}, got: {said}; correct it", "file") from error
    try:
        return checked(RuleFile, data)
    except BadFields as error:
        ids = data.get("rules") if isinstance(data, dict) else None
        raise BadFields(
            [Fault(f"{path}: {_named(fault.field, ids)}", fault.message) for fault in error.faults]
        ) from None


def _named(field: str, rules: Any) -> str:
    """`rules[3].when`, with the id of the rule where it has one: people do not count."""
    place, _, rest = field.partition("]")
    number = place.removeprefix("rules[")
    if number.isdigit() and isinstance(rules[int(number)], dict) and isinstance(rules[int(number)].get("rule"), str):
        return f"{place}]{rest} ({rules[int(number)]['rule']})"
    return field


def schema() -> str:
    """JSON Schema of a file of rules, for editors."""
    made = msgspec.json.schema(RuleFile)
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **made}, indent=2) + "\n"


def differences(before: Draft | None, after: Draft | None) -> Iterator[tuple[str, Any, Any]]:
    """(field, before, after) of each field that differs; None where it is not given."""
    old, new = (dict(_flat(msgspec.to_builtins(one))) if one else {} for one in (before, after))
    for field in sorted({*old, *new}):
        if repr(old.get(field)) != repr(new.get(field)):
            yield field, old.get(field), new.get(field)


def _flat(data: dict[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in data.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{at}{name}.")
        else:
            yield at + name, float(value) if type(value) is int else value


@app.command()
def apply(
    file: Path,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would change")] = False,
    as_json: Json = False,
) -> None:
    """Store the rules of a file that are new or differ: all of them or none. Rules that it does not name stay."""
    with told(), _connected() as conn:
        given = read(file)
        work = rule_store.compare if dry_run else rule_store.apply
        _show(work(conn, given.tenant, given.rules), as_json)


@app.command()
def diff(file: Path, as_json: Json = False) -> None:
    """Show what `apply` would change. Ends with 1 if there is something."""
    with told(), _connected() as conn:
        given = read(file)
        changes = rule_store.compare(conn, given.tenant, given.rules)
        _show(changes, as_json)
    if any(change.what != "same" for change in changes):
        raise typer.Exit(1)


@app.command(name="list")
def list_(tenant: Tenant = "demo", as_json: Json = False) -> None:
    """List the rules of a tenant."""
    with told(), _connected() as conn:
        found = rule_store.newest(conn, tenant)
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    for rule in found:
        off = "" if rule.enabled else "  [yellow]disabled[/yellow]"
        when = msgspec.to_builtins(rule.when)
        said = " ".join(f"{name} {value}" for name, value in when.items() if name != "kind")
        console.print(
            f"[bold]{escape(rule.rule)}[/bold]  v{rule.version}  {rule.severity}  {when['kind']} {escape(said)}{off}"
        )
    if not found:
        console.print(f"no rules of tenant {escape(tenant)}: `headwater rules apply FILE.yml` stores some")


@app.command()
def delete(
    rule: str,
    tenant: Tenant = "demo",
    version: Annotated[int | None, typer.Option(min=1, help="only if this is its version")] = None,
    as_json: Json = False,
) -> None:
    """Delete a rule. Its versions are kept, and its open alerts are cleared."""
    with told(), _connected() as conn:
        _show([rule_store.delete(conn, tenant, rule, version)], as_json)


@app.command(name="schema")
def schema_() -> None:
    """Print the JSON Schema of a file of rules, for editors."""
    typer.echo(schema(), nl=False)


def _connected() -> psycopg.Connection[Any]:
    """A connection whose transaction is committed at the end of a block without an error."""
    try:
        return psycopg.connect(Settings().postgres.get_secret_value(), connect_timeout=5)
    except psycopg.OperationalError as error:
        said = " ".join(str(error).split())
        raise StackError(f"PostgreSQL cannot be reached: {said}.", "`headwater status` shows what runs.") from error


def _show(changes: list[Change], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([{"rule": one.rule, "what": one.what, "version": one.version} for one in changes]))
        return
    for change in changes:
        console.print(f" {_MARK[change.what]} [bold]{escape(change.rule)}[/bold]  v{change.version}  {change.what}")
        if change.what == "changed":
            for field, before, after in differences(change.before, change.after):
                console.print(f"     {escape(field)}: {escape(str(before))} → {escape(str(after))}")
