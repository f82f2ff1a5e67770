"""ClickHouse: its engine in a process of our own, and the schema of the raw store on whichever server there is."""

from __future__ import annotations

import re
from importlib.metadata import version
from importlib.resources import files

from clickhouse_connect.driver.client import Client

from headwater.model.errors import StackError
from headwater.raw.client import OUTAGES, connect_to
from headwater.stack import places, probes
from headwater.stack.program import Program
from headwater.stack.state import State

_APPLIED = "schema_migration"
_FILE = re.compile(r"\d{3}_\w+\.sql")
_END = re.compile(r";[ \t]*\n")


def program(state: State) -> Program:
    """The server. SIGTERM ends it after the statements that run."""
    state.part("clickhouse")
    return Program(
        name="clickhouse",
        command=(str(places.app_python()), "-m", "headwater.clickhouse"),
        environment={"HEADWATER_STATE": str(state.folder)},
        probe=probes.clickhouse(state.url("clickhouse")),
        port="clickhouse",
        version=version("chdb-core-lite"),
        says="raw readings",
        yields=5,
        settle_s=1,
    )


def migrate(url: str) -> list[str]:
    """Apply what is missing of `sql/stores/clickhouse` and return the names of the files applied now, oldest first.

    Every statement says `if not exists`, so a file that was broken off, or that two apply at once, is applied again
    without harm. Raises `StackError` when the server cannot be reached or a statement fails.
    """
    try:
        client = connect_to(url, "headwater-migrate")
        try:
            return _migrate(client)
        finally:
            client.close()
    except OUTAGES as error:
        raise StackError(
            f"Expected the schema of the raw store to apply; ClickHouse said: {str(error).strip()[-2000:]}",
            "check that HEADWATER_CLICKHOUSE names a database that is up and a user that may create tables there.",
        ) from error


def _migrate(client: Client) -> list[str]:
    client.command(
        f"create table if not exists {_APPLIED} (name String, applied DateTime default now())"
        " engine = MergeTree order by name settings fsync_after_insert = 1, fsync_part_directory = 1"
    )
    known = {row[0] for row in client.query(f"select name from {_APPLIED}").result_rows}  # noqa: S608  # a constant
    done = []
    folder = files("sql") / "stores" / "clickhouse"
    for name in sorted(entry.name for entry in folder.iterdir() if _FILE.fullmatch(entry.name)):
        if name in known:
            continue
        for statement in _END.split((folder / name).read_text()):
            if statement.strip():
                client.command(statement)
        client.insert(_APPLIED, [[name]], column_names=["name"])
        done.append(name)
    return done
