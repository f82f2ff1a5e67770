"""Commands for the stack as a whole."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from headwater.cli.own import register_own
from headwater.cli.show import Clock, console, errors, steps, told
from headwater.model.errors import StackError
from headwater.sql import deployed
from headwater.stack import checks, life
from headwater.stack import status as statuses
from headwater.stack.state import State
from headwater.stack.supervise import log_file

COLOURS = {"healthy": "green", "external": "green", "starting": "yellow", "stopped": "dim"}


def up() -> None:
    """Start everything, and print the address of the page when readings are on it."""
    clock = Clock()
    with told(), steps() as report:
        state, failures = life.up(report, register_own)
    if failures:
        names = ", ".join(failure.name for failure in failures)
        errors.print(f"\n[red]Not everything is up[/red] ({names}) after {clock.seconds:.0f} s. What is up stays up.")
        raise typer.Exit(1)
    console.print(f"\nFirst readings on the page after {clock.seconds:.1f} s.")
    console.print(f"[bold]{state.url('api')}/?key={state.secrets['access_key']}[/bold]")


def down() -> None:
    """Stop everything; the data stay."""
    with told(), steps() as report:
        life.down(report)


def reset(yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False) -> None:
    """Stop everything and delete all data, secrets and ports."""
    with told():
        state = State.load()
        if not yes:
            typer.confirm(f"Delete all data below {state.folder}? This cannot be undone.", abort=True)
        with steps() as report:
            life.down(report)
        for folder in life.reset(state):
            console.print(f"deleted {folder}")


def status(as_json: Annotated[bool, typer.Option("--json", help="for scripts, with credentials")] = False) -> None:
    """Show every server, worker and job with health, pid, port, version, memory, restarts and lag."""
    with told():
        state = State.load()
        if as_json:
            known: dict[str, list[dict[str, str]]] = {"metrics": [], "patterns": []}
            for one in deployed.all_of(state):
                known[f"{one.kind}s"].append({"name": one.name, "state": one.state, "why": one.why})
            typer.echo(json.dumps({**statuses.whole(state), **known}, indent=2))
            return
        services = statuses.services(state)
        console.print(_service_table(services))
        console.print(_job_table(statuses.running_jobs(state)))
        total = sum(service.rss_bytes or 0 for service in services)
        console.print(
            f"resident: {total / 2**20:,.0f} MiB   page: {state.url('api')}/?key=…  (`headwater up` prints it)"
        )
        disk = checks.disk_check()
        if not disk.good:
            console.print(f"[yellow]disk[/yellow]: {escape(disk.said)}")
        for query in deployed.all_of(state):
            if query.state == "failed":
                console.print(f"[red]{query.kind} {query.name}[/red] has stopped: {escape(query.why)}")
        for service in services:
            if service.why:
                console.print(f"[yellow]{service.name}[/yellow]: {escape(service.why)}")


def _service_table(services: list[statuses.Service]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("name", "state"):
        table.add_column(title)
    for title in ("pid", "port", "version", "MiB", "restarts", "lag"):
        table.add_column(title, justify="right")
    for one in services:
        colour = COLOURS.get(one.state, "red")
        memory = f"{one.rss_bytes / 2**20:,.0f}" if one.rss_bytes else ""
        lag = "" if one.lag is None else str(one.lag)
        table.add_row(
            one.name,
            f"[{colour}]{one.state}[/{colour}]",
            str(one.pid or ""),
            str(one.port or ""),
            one.version,
            memory,
            str(one.restarts),
            lag,
        )
    return table


def _job_table(jobs: list[dict[str, object]]) -> Table:
    table = Table(box=None, pad_edge=False, title=None if jobs else "no jobs run")
    for title in ("job", "state", "id", "checkpoints", "last"):
        table.add_column(title)
    for job in jobs:
        last = job["last_checkpoint_ms"]
        age = f"{time.time() - last / 1000:.0f} s ago" if isinstance(last, int) else "none yet"
        table.add_row(str(job["name"]), str(job["state"]), str(job["id"]), str(job["checkpoints"]), age)
    return table


def doctor() -> None:
    """Look for what would keep the stack from working, and say the fix."""
    bad = 0
    for check in checks.all_checks():
        mark = "[green]✓[/green]" if check.good else "[red]✗[/red]"
        console.print(f" {mark} [bold]{check.name:<14}[/bold] {escape(check.said)}")
        if not check.good:
            console.print(f"   {'':<14} fix: {escape(check.fix)}")
            bad += 1
    raise typer.Exit(1 if bad else 0)


def logs(
    name: Annotated[str, typer.Argument(help="a name that `headwater status` shows")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="go on as it grows")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", help="how many of the last lines")] = 100,
) -> None:
    """Show what a program has written."""
    with told():
        path = log_file(State.load(), name)
        if not path.is_file():
            known = sorted(one.stem for one in path.parent.glob("*.log"))
            raise StackError(
                f"Expected one of {', '.join(known)}, got {name!r}.", "`headwater status` shows the names."
            )
        with path.open(errors="replace") as file:
            for line in file.readlines()[-lines:]:
                typer.echo(line, nl=False)
            while follow:
                line = file.readline()
                if line:
                    typer.echo(line, nl=False)
                else:
                    time.sleep(0.2)
