"""Commands for metrics: test, deploy, undeploy, list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from headwater.cli.show import Clock, console, errors, told
from headwater.cli.sql_console import check_slots
from headwater.model.errors import BadRequest, StackError
from headwater.model.settings import JobSettings
from headwater.sql import deployed, metric, tables, trial
from headwater.sql.keeping import PARALLELISM, MetricKeeper, ensure_gateway
from headwater.sql.metric import Metric
from headwater.sql.session import Session
from headwater.stack import gateway, submit
from headwater.stack.state import State

Name = Annotated[str, typer.Argument(help="a metric: sql/metrics/NAME.sql and NAME.yml")]
COLOURS = {"running": "green", "failed": "red", "starting": "yellow", "undeployed": "dim"}


@contextmanager
def _cluster_told() -> Iterator[None]:
    with told():
        try:
            yield
        except OSError as error:
            raise StackError(f"Flink does not answer: {error}", "`headwater status`.") from error


def try_(name: Annotated[str, typer.Argument(help="a metric; without a name all of them")] = "") -> None:
    """Send the given rows of a metric through its query on Flink; exit code 1 if the rows are not those expected."""
    bad = 0
    with _cluster_told():
        state, settings = State.load(), JobSettings()
        ensure_gateway(state)
        for each in [name] if name else metric.names():
            try:
                wrong = _tried(state, settings, metric.load(each))
            except BadRequest as error:
                wrong = str(error).splitlines()
            bad += bool(wrong)
            _tell(each, wrong)
    raise typer.Exit(1 if bad else 0)


def _tried(state: State, settings: JobSettings, one: Metric) -> list[str]:
    check_slots(settings.flink, 1)
    with Session(gateway.url(state), tables.properties(settings, str(submit.wheel(state)), 1)) as session:
        return trial.run(session, one)


def _tell(name: str, wrong: list[str]) -> None:
    if not wrong:
        console.print(f" [green]✓[/green] [bold]{name}[/bold] its rows are those expected")
        return
    errors.print(f" [red]✗[/red] [bold]{name}[/bold]")
    for line in wrong:
        errors.print(f"   {escape(line)}")


def deploy(name: Name) -> None:
    """Check a metric, test it, and let a job of its own compute it; then it is served like any other metric."""
    clock = Clock()
    with _cluster_told():
        state, settings = State.load(), JobSettings()
        one = metric.load(name)
        ensure_gateway(state)
        wrong = _tried(state, settings, one)
        _tell(name, wrong)
        if wrong:
            raise typer.Exit(1)
        keeper = MetricKeeper(state, settings)
        did = keeper.deploy(one, lambda: check_slots(settings.flink, PARALLELISM))
        console.print(f" [green]✓[/green] [bold]{name}[/bold] {did} [dim]{clock.seconds:.1f} s[/dim]")
        console.print("   The job keeper keeps it; `headwater sql list` shows how it is.")


def undeploy(name: Name) -> None:
    """End the job of a metric. Its rows stay until retention removes them."""
    with _cluster_told():
        console.print(f"{name}: {MetricKeeper(State.load(), JobSettings()).undeploy(name)}")


def list_(as_json: Annotated[bool, typer.Option("--json", help="for scripts")] = False) -> None:
    """Show the metrics that there are files of or that were deployed, and how they are."""
    with told():
        known = {one.name: one for one in deployed.all_of(State.load())}
        names = sorted({*known, *metric.names()})
        if as_json:
            typer.echo(json.dumps([_public(name, known.get(name)) for name in names]))
            return
        table = Table(box=None, pad_edge=False)
        for title in ("metric", "state", "unit", "owner", "description"):
            table.add_column(title)
        for name in names:
            one = _public(name, known.get(name))
            colour = COLOURS.get(one["state"], "dim")
            table.add_row(name, f"[{colour}]{one['state']}[/{colour}]", one["unit"], one["owner"], one["description"])
        console.print(table)
        for held in known.values():
            if held.why:
                console.print(f"[red]{held.name}[/red]: {escape(held.why)}")


def _public(name: str, one: deployed.Deployed | None) -> dict[str, str]:
    if one is None:
        return {"name": name, "state": "not deployed", "unit": "", "owner": "", "description": "", "why": ""}
    return {
        "name": name,
        "state": one.state,
        "unit": one.unit,
        "owner": one.owner,
        "description": one.description,
        "why": one.why,
    }
