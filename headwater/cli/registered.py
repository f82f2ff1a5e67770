"""What the commands of the registry share: the connection, options, and how an entry is shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import psycopg
import typer
from rich.markup import escape
from rich.table import Table

from headwater.cli.show import console, told
from headwater.cli.when import shown
from headwater.model.errors import BadFields, BadRequest, Fault, StackError
from headwater.model.settings import Settings
from headwater.model.version import ANY_OLD
from headwater.registry import files, search, store
from headwater.registry.entries import SCOPES, Kind
from headwater.registry.files import Format, Loaded

Json = Annotated[bool, typer.Option("--json", help="for scripts")]
Version = Annotated[
    int | None, typer.Option("--if-version", min=1, help="refuse if it has another version by now (`show` prints it)")
]
Only = Annotated[str, typer.Option("--tenant", help="only of this tenant")]
LinesOf = Annotated[str, typer.Option("--tenant", help="of lines that name none")]
FileForm = Annotated[Format, typer.Option("--format", help="csv or ndjson; `import` takes both")]
AsNdjson = Annotated[bool, typer.Option("--json", help="the same as --format ndjson")]


@contextmanager
def database() -> Iterator[psycopg.Connection[Any]]:
    """One transaction. Errors are told in a line each, and nothing is changed then."""
    with told():
        try:
            with psycopg.connect(Settings().postgres.get_secret_value(), connect_timeout=5) as connection:
                yield connection
        except psycopg.OperationalError as error:
            raise StackError(
                f"PostgreSQL does not answer: {' '.join(str(error).split())[:200]}.",
                "start the stack with `make up`, or set HEADWATER_POSTGRES.",
            ) from error


def given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def attributes(pairs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`server.serial=7` as attributes; JSON if it reads as such, else text; nothing after `=` takes one away."""
    found: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        place, equals, value = pair.partition("=")
        scope, dot, name = place.partition(".")
        if not (equals and dot and name) or scope not in SCOPES:
            raise BadFields([Fault("attribute", f"expected server.NAME=VALUE (or shared, client), got {pair!r}")])
        try:
            read = json.loads(value, parse_constant=str) if value else None
        except json.JSONDecodeError:
            read = value
        found.setdefault(scope, {})[name] = read
    return found


def delete(kind: Kind[Any], tenant: str, name: str, version: int | None, as_json: bool) -> None:
    """Deletes an entry, unless devices need it, and says so."""
    with database() as connection:
        store.remove(connection, kind, tenant, name, version or ANY_OLD)
    if as_json:
        typer.echo(json.dumps({"tenant": tenant, kind.table: name, "deleted": True}))
        return
    console.print(f"[bold]{escape(f'{tenant}/{name}')}[/bold]  deleted")


def _became(one: Loaded) -> str:
    return f"{one.tenant}/{one.name}\t{one.what}"


def text_of(file: Path) -> str:
    """What is in a file of UTF-8 text. Raises `BadRequest`."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"expected a file of UTF-8 text, got {file}: {error}", "file") from error


def form_of(file: Path) -> Format:
    """CSV or NDJSON, by the name's end. Raises `BadRequest` for another one."""
    known = {".csv": Format.CSV, ".ndjson": Format.NDJSON, ".jsonl": Format.NDJSON}
    found = known.get(file.suffix.lower())
    if found is None:
        raise BadRequest(f"expected a file that ends in {', '.join(known)}, got {file.name}; rename it", "file")
    return found


def import_file(
    kind: Kind[Any], file: Path, tenant: str, as_json: bool, line: Callable[[Loaded], str] = _became
) -> None:
    """Makes or changes the entries of a file, all or none, and says what became of each, a `line` each."""
    with database() as connection:
        form = form_of(file)
        done = files.load(connection, kind, files.read(text_of(file), form, kind, tenant))
    if as_json:
        typer.echo(json.dumps([one.plain(kind) for one in done]))
        return
    for one in done:
        typer.echo(line(one))


def add_files(app: typer.Typer, kind: Kind[Any]) -> None:
    """Adds `import` and `export` of entries that have no tokens."""
    what = f"{kind.table}s"

    @app.command(name="import", help=f"Make or change the {what} of a file (CSV, NDJSON): all or none; the rest stays.")
    def import_(file: Path, tenant: LinesOf = "", as_json: Json = False) -> None:
        import_file(kind, file, tenant, as_json)

    @app.command(help=f"Print all {what} as a file that `import` takes.")
    def export(tenant: Only = "", form: FileForm = Format.CSV, as_json: AsNdjson = False) -> None:
        with database() as connection:
            found = search.entries(connection, kind, tenant)
        tell_file(kind, found, Format.NDJSON if as_json else form)


def tell_file(kind: Kind[Any], entries: Sequence[Any], form: Format) -> None:
    """Prints entries as a file that an import takes."""
    for piece in files.write(entries, form, kind):
        typer.echo(piece, nl=False)


def tell(entry: Any, as_json: bool) -> None:
    """One entry, a field a line."""
    plain: dict[str, Any] = msgspec.to_builtins(entry)
    if as_json:
        typer.echo(json.dumps(plain, ensure_ascii=False))
        return
    for name, value in plain.items():
        console.print(f"[bold]{name:<12}[/bold] {escape(_text(name, value))}")


def tell_all(entries: Sequence[Any], columns: Sequence[str], as_json: bool) -> None:
    """Entries as a table, or as JSON with every field."""
    plain: list[dict[str, Any]] = msgspec.to_builtins(list(entries))
    if as_json:
        typer.echo(json.dumps(plain, ensure_ascii=False))
        return
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for one in plain:
        table.add_row(*(escape(_text(name, one[name])) for name in columns))
    console.print(table)


def _text(name: str, value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "-"
    if name.endswith("_ms"):
        return shown(value)
    if name == "metrics":
        return ", ".join(f"{metric} {about['unit']}".strip() for metric, about in value.items())
    if name == "tags":
        return ", ".join(value)
    if name == "attributes":
        flat = {f"{scope}.{key}": fact for scope, facts in value.items() for key, fact in facts.items()}
        return ", ".join(f"{key}={json.dumps(fact, ensure_ascii=False)}" for key, fact in flat.items()) or "-"
    return str(value)
