"""Commands for analysts: a console of Flink SQL, and metrics and patterns as files."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from headwater.cli import sql_queries, sql_typing
from headwater.cli.show import console as terminal
from headwater.cli.show import errors, told
from headwater.cli.sql_console import HELP, Console, Reading, talk
from headwater.model.errors import StackError
from headwater.model.settings import JobSettings
from headwater.sql import tables
from headwater.sql.keeping import ensure_gateway
from headwater.sql.session import Session
from headwater.stack import gateway, submit
from headwater.stack.state import State

app = typer.Typer(help="Analysts' SQL: a console, and metrics and patterns as files.", invoke_without_command=True)
app.command(name="test")(sql_queries.try_)
app.command()(sql_queries.deploy)
app.command()(sql_queries.undeploy)
app.command(name="list")(sql_queries.list_)


@contextmanager
def open_session(state: State, settings: JobSettings) -> Iterator[Session]:
    """A session of the gateway, which is started if it does not run."""
    ensure_gateway(state)
    options = tables.properties(settings, str(submit.wheel(state)), 1)
    with Session(gateway.url(state), options) as session:
        yield session


@app.command(name="tables")
def tables_(
    start: Annotated[str, typer.Option("--from", help="where they start reading: earliest, latest, -5m …")] = "-5m",
    until: Annotated[str, typer.Option(help="now: they end at the present end of the log; or never")] = "never",
) -> None:
    """Print the statements that make all tables, views and functions, for other clients of the gateway."""
    with told():
        state, settings = State.load(), JobSettings()
        options = tables.properties(settings, str(submit.wheel(state)), 1)
        reading = Reading().changed("from", start).changed("until", until)
        lines = [f"set '{key}' = '{value}'" for key, value in options.items()]
        for each in [*lines, *tables.opening(settings, reading.begin())]:
            typer.echo(f"{each};")


@app.callback()
def sql(
    context: typer.Context,
    file: Annotated[Path | None, typer.Option("-f", "--file", help="run the statements of a file")] = None,
    statement: Annotated[str, typer.Option("-e", "--execute", help="run statements")] = "",
    start: Annotated[str, typer.Option("--from", help="where tables start reading: earliest, latest, -5m …")] = "-5m",
    until: Annotated[str, typer.Option(help="now: queries end at the present end of the log; or never")] = "never",
    rows: Annotated[str, typer.Option(help="end a query after so many rows")] = "all",
    as_json: Annotated[bool, typer.Option("--json", help="an object a row")] = False,
) -> None:
    """Flink SQL over readings and metrics; without -e or -f a console. `headwater sql list` shows deployed metrics."""
    if context.invoked_subcommand:
        return
    with told():
        state, settings = State.load(), JobSettings()
        reading = Reading().changed("from", start).changed("until", until).changed("rows", rows)
        text = file.read_text() if file and file.is_file() else statement
        if file and not file.is_file():
            raise StackError(f"Expected a file, there is no {file}.")
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a query that is left behind holds its slots
        with open_session(state, settings) as session:
            one = Console(session, settings, reading, typer.echo, as_json)
            try:
                if text:
                    one.script(text)
                else:
                    _interactive(state.folder, one)
            except KeyboardInterrupt:
                one.cancel()
                raise typer.Exit(130) from None
            except OSError as error:
                raise StackError(f"Flink does not answer: {error}", "`headwater status`.") from error


def _interactive(folder: Path, one: Console) -> None:
    terminal.print(f"Flink SQL; statements end with ; and [bold]\\?[/bold] tells more.\n[dim]{escape(HELP)}[/dim]")
    with sql_typing.helped(folder):
        talk(one, input, lambda text: errors.print(f"[red]✗[/red] {escape(text)}"))
