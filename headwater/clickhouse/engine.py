"""Owns one folder of ClickHouse's engine: some connections, and who runs what on which.

chDB's connections run side by side, but each runs one statement at a time. Settings and the database belong to a
connection, so they are put back after each request.
"""

from __future__ import annotations

import fcntl
import json
import os
import queue
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from headwater.clickhouse.ask import Ask
from headwater.model.errors import StackError

CONNECTIONS = 4
"""Statements that run at once; more wait."""

_CODE = re.compile(r"Code: (\d+)\.")
_LARGEST_ANSWER = 256 * 2**20


class EngineError(Exception):
    """What the engine answers instead of a result. `code` is ClickHouse's number of the error."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        found = _CODE.search(text)
        self.code = int(found[1]) if found else 1002


@dataclass(frozen=True)
class Answer:
    """The bytes in the format that was asked for, and what the engine counted."""

    body: bytes
    read_rows: int
    elapsed_ns: int

    @property
    def summary(self) -> str:
        """As ClickHouse puts it into a header."""
        return json.dumps({"read_rows": str(self.read_rows), "elapsed_ns": str(self.elapsed_ns)})


class Engine:
    """The engine over one folder, which it locks. `run` may be called from many threads."""

    def __init__(self, folder: Path, database: str, memory_mb: int) -> None:
        """Raises `StackError` if another process has the folder."""
        self._lock = _locked(folder)
        # The engine takes the time zone of the process; days of a partition, and answers, are in UTC.
        os.environ["TZ"] = "UTC"
        chdb: Any = import_module("chdb._chdb")
        chdb.set_signal_handlers_enabled(False)
        options = f"max_server_memory_usage={memory_mb * 2**20}&mark_cache_size={32 * 2**20}"
        self._free: queue.LifoQueue[Connection] = queue.LifoQueue()
        for _ in range(CONNECTIONS):
            self._free.put(Connection(chdb.connect(f"{folder / 'data'}?{options}"), database, memory_mb))
        with self._one() as connection:
            connection.make_database()

    def run(self, ask: Ask, path: str = "") -> Answer:
        """Runs one statement; `path` is the file with the data of an insert. Raises `EngineError`."""
        with self._one() as connection:
            return connection.run(ask, ask.reading(path) if ask.has_data else ask.statement)

    def close(self) -> None:
        """Waits for what runs, then lets go of the folder."""
        for _ in range(CONNECTIONS):
            self._free.get().close()
        self._lock.close()

    @contextmanager
    def _one(self) -> Iterator[Connection]:
        connection = self._free.get()
        try:
            yield connection
        finally:
            self._free.put(connection)


class Connection:
    """One connection of the engine. Not for two threads at once."""

    def __init__(self, chdb: Any, database: str, memory_mb: int) -> None:
        self._chdb = chdb
        self._default = database
        self._database = ""
        self._settings = {
            # A statement may have half, so that inserts go on while a large question is refused.
            "max_memory_usage": str(memory_mb * 2**19),
            "max_result_bytes": str(_LARGEST_ANSWER),
            "result_overflow_mode": "throw",
            "max_execution_time": "120",
        }
        for name, value in self._settings.items():
            self._ask(f"set {name} = {_literal(value)}")

    def make_database(self) -> None:
        """Makes the database that the server is for, unless it is there."""
        self._ask(f"create database if not exists {_identifier(self._default)}")

    def run(self, ask: Ask, statement: str) -> Answer:
        """One statement with the settings of its request, which are taken back afterwards."""
        self._use(ask.database or self._default)
        changed = []
        try:
            for name, value in ask.settings.items():
                self._ask(f"set {name} = {_literal(value)}")
                changed.append(name)
            result = self._ask(statement, ask.form, dict(ask.parameters))
            return Answer(bytes(result.bytes()), result.rows_read(), int(result.elapsed() * 1e9))
        finally:
            for name in changed:
                self._ask(f"set {name} = {_literal(self._settings[name]) if name in self._settings else 'default'}")

    def close(self) -> None:
        """Lets go of it."""
        self._chdb.close()

    def _use(self, database: str) -> None:
        if database != self._database:
            self._ask(f"use {_identifier(database)}")
            self._database = database

    def _ask(self, statement: str, form: str = "TabSeparated", parameters: dict[str, str] | None = None) -> Any:
        try:
            return self._chdb.query(statement, form, params=parameters or {})
        except RuntimeError as error:
            raise EngineError(str(error)) from None


def _locked(folder: Path) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise StackError(
            f"Expected to own {folder} alone, but another process has it open.",
            "end the other server; two would destroy the data",
        ) from None
    return lock


def _literal(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _identifier(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"
