"""Commands for the Flink jobs. The job keeper (service `jobs`) keeps a submitted job running until it is stopped."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from headwater.cli.show import console, told
from headwater.model.errors import StackError
from headwater.model.settings import JobSettings, Settings
from headwater.stack import jobs as keeping
from headwater.stack import submit as submitting
from headwater.stack.cluster import Cluster
from headwater.stack.state import State

app = typer.Typer(no_args_is_help=True, help="The Flink jobs.")


@app.command()
def submit(name: Annotated[str, typer.Argument(help="a job: aggregation")] = "aggregation") -> None:
    """Submit a job, from its newest savepoint or checkpoint if it has one, and keep it running."""
    with told():
        state, settings = State.load(), JobSettings()
        with submitting.record(state, name) as known:
            known.wanted = True
        try:
            did = keeping.Keeper(state, name, settings).look()
        except OSError as error:
            raise StackError(f"Flink does not answer at {settings.flink}: {error}", "`headwater status`.") from error
    console.print(did or f"{name} runs already")


@app.command(name="list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="for scripts")] = False) -> None:
    """Show the jobs that the cluster knows."""
    cluster = Cluster(Settings().flink)
    with told():
        try:
            jobs = cluster.jobs()
        except OSError as error:
            raise StackError(f"Flink does not answer at {cluster.url}: {error}", "`headwater status`.") from error
    if as_json:
        names = ("name", "id", "state", "started")
        typer.echo(json.dumps([{name: getattr(job, name) for name in names} for job in jobs]))
        return
    for job in jobs:
        typer.echo(f"{job.name}\t{job.state}\t{job.id}\t{job.tasks_running}/{job.tasks} tasks")


@app.command()
def stop(
    name: Annotated[str, typer.Argument(help="a job: aggregation")] = "aggregation",
    savepoint: Annotated[bool, typer.Option(help="stop with a savepoint, or cancel")] = True,
) -> None:
    """Stop a job; `headwater jobs submit` goes on from where it was. Until then it stays stopped."""
    with told():
        state = State.load()
        try:
            if savepoint:
                console.print(f"savepoint: {keeping.stop(state, name, wanted=False)}")
            else:
                console.print(f"{keeping.cancel(state, name)} cancelled; its checkpoints are kept")
        except OSError as error:
            raise StackError(f"Flink does not answer: {error}", "`headwater status`.") from error
