"""Commands for the Flink jobs. The job keeper (service `jobs`) keeps a submitted job running until it is stopped."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from headwater.cli.show import console, flink_told
from headwater.model.settings import JobSettings, Settings
from headwater.stack import jobs as keeping
from headwater.stack import kept
from headwater.stack.cluster import Cluster
from headwater.stack.state import State

app = typer.Typer(no_args_is_help=True, help="The Flink jobs.")

Name = Annotated[str, typer.Argument(help="a job: aggregation, alerting, enrichment or one of yours")]


def _keeper(name: str) -> keeping.Keeper:
    return kept.keeper(State.load(), name, JobSettings())


@app.command()
def start(name: Name = "aggregation") -> None:
    """Start a job, from its newest savepoint or checkpoint if it has one, and keep it running."""
    with flink_told():
        console.print(keeping.start(_keeper(name)) or f"{name} runs already")


@app.command()
def stop(
    name: Name = "aggregation",
    savepoint: Annotated[bool, typer.Option(help="stop with a savepoint, or cancel")] = True,
) -> None:
    """Stop a job with a savepoint; `headwater jobs start` goes on from it. Until then it stays stopped."""
    with flink_told():
        state = State.load()
        if savepoint:
            console.print(f"savepoint: {keeping.stop(state, name, wanted=False)}")
        else:
            console.print(f"{keeping.cancel(state, name)} cancelled; its checkpoints are kept")


@app.command()
def upgrade(name: Name = "aggregation") -> None:
    """Go on with the code of now: stop with a savepoint, restore from it. Refused if the plan has changed."""
    with flink_told():
        console.print(keeping.upgrade(_keeper(name)))


@app.command()
def rebuild(
    name: Name = "aggregation",
    changed: Annotated[bool, typer.Option("--changed", help="the query is another one: rows may shrink")] = False,
) -> None:
    """Read the log again from before the panes that are open, with empty state. Rows never go back meanwhile."""
    with flink_told():
        console.print(keeping.rebuild(_keeper(name), changed))


@app.command(name="list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="for scripts")] = False) -> None:
    """Show the jobs that the cluster knows."""
    with flink_told():
        jobs = Cluster(Settings().flink).jobs()
    if as_json:
        names = ("name", "id", "state", "started")
        typer.echo(json.dumps([{name: getattr(job, name) for name in names} for job in jobs]))
        return
    for job in jobs:
        typer.echo(f"{job.name}\t{job.state}\t{job.id}\t{job.tasks_running}/{job.tasks} tasks")
