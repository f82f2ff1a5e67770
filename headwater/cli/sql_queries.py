"""Commands for metrics and patterns: test, deploy, undeploy, list."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from headwater.cli.show import Clock, console, errors, flink_told, told
from headwater.cli.sql_console import check_slots
from headwater.model.errors import BadRequest
from headwater.model.settings import JobSettings
from headwater.sql import deployed, kinds, tables, trial
from headwater.sql.keeping import PARALLELISM, QueryKeeper, ensure_gateway
from headwater.sql.query import Query
from headwater.sql.session import Session
from headwater.stack import gateway, submit
from headwater.stack.state import State

Name = Annotated[str, typer.Argument(help="sql/metrics/NAME.sql and NAME.yml, or sql/patterns/")]
COLOURS = {"running": "green", "failed": "red", "starting": "yellow", "undeployed": "dim"}


def try_(name: Annotated[str, typer.Argument(help="a metric or a pattern; without a name all of them")] = "") -> None:
    """Send given rows through a query on Flink; exit code 1 if what comes of them is not what is expected."""
    bad = 0
    with flink_told():
        state, settings = State.load(), JobSettings()
        for each in [name] if name else sorted(kinds.files()):
            try:
                wrong = _tried(state, settings, kinds.load(each))
            except BadRequest as error:
                wrong = str(error).splitlines()
            bad += bool(wrong)
            _tell(each, wrong)
    raise typer.Exit(1 if bad else 0)


def _tried(state: State, settings: JobSettings, one: Query) -> list[str]:
    """What is wrong with the rows of a query. The gateway is started for it, and not for a name that was mistyped."""
    ensure_gateway(state)
    check_slots(settings.flink, 1)
    with Session(gateway.url(state), tables.properties(settings, str(submit.wheel(state)), 1)) as session:
        return trial.run(session, one, settings)


def _tell(name: str, wrong: list[str]) -> None:
    if not wrong:
        console.print(f" [green]✓[/green] [bold]{name}[/bold] its rows are those expected")
        return
    errors.print(f" [red]✗[/red] [bold]{name}[/bold]")
    for line in wrong:
        errors.print(f"   {escape(line)}")


def deploy(name: Name) -> None:
    """Check a metric or a pattern, test it, and let a job of its own run it; it is served like any metric or alert."""
    clock = Clock()
    with flink_told():
        state, settings = State.load(), JobSettings()
        one = kinds.load(name)
        wrong = _tried(state, settings, one)
        _tell(name, wrong)
        if wrong:
            raise typer.Exit(1)
        keeper = QueryKeeper(state, settings)
        did = keeper.deploy(one, lambda: check_slots(settings.flink, PARALLELISM))
        console.print(f" [green]✓[/green] [bold]{name}[/bold] {did} [dim]{clock.seconds:.1f} s[/dim]")
        console.print("   The job keeper keeps it; `headwater sql list` shows how it is.")


def undeploy(name: Name) -> None:
    """End the job of a metric or a pattern. Its rows stay until retention removes them; open alerts are cleared."""
    with flink_told():
        console.print(f"{name}: {QueryKeeper(State.load(), JobSettings()).undeploy(name)}")


def list_(as_json: Annotated[bool, typer.Option("--json", help="for scripts")] = False) -> None:
    """Show the metrics and patterns that there are files of or that were deployed, and how they are."""
    with told():
        known = {one.name: one for one in deployed.all_of(State.load())}
        files = kinds.files()
        found = [_public(name, files.get(name, ""), known.get(name)) for name in sorted({*known, *files})]
        if as_json:
            typer.echo(json.dumps(found))
            return
        table = Table(box=None, pad_edge=False)
        table.add_column("name", no_wrap=True)
        for title in ("kind", "state", "unit or severity", "owner", "description"):
            table.add_column(title)
        for one in found:
            colour, says = COLOURS.get(one["state"], "dim"), one["unit"] or one["severity"]
            state = f"[{colour}]{one['state']}[/{colour}]"
            table.add_row(one["name"], one["kind"], state, says, one["owner"], one["description"])
        console.print(table)
        for held in known.values():
            if held.why:
                console.print(f"[red]{held.name}[/red]: {escape(held.why)}")


def _public(name: str, kind: str, one: deployed.Deployed | None) -> dict[str, str]:
    columns = ("state", "unit", "severity", "owner", "description", "why")
    if one is None:
        return {"name": name, "kind": kind, **dict.fromkeys(columns, ""), "state": "not deployed"}
    return {"name": name, "kind": one.kind, **{column: getattr(one, column) for column in columns}}
