"""The file of the sample sink seen from outside."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from connectors.sinks.base import Sink
from headwater.model.settings import SinkSettings
from tests.integration.sample_sink import SqliteSink
from tests.integration.stores import Store

REFUSE = """
create trigger refuse before insert on pane when (new.tenant, new.device) = ('{}', '{}')
begin select raise(abort, 'refused'); end
"""


class SampleStore(Store):
    """A file of SQLite."""

    holds_rows_back = True

    def __init__(self, file: Path) -> None:
        self._file = file

    def sink(self) -> Sink:
        return SqliteSink(SinkSettings(), self._file)

    def rows(self, tenant: str) -> dict[tuple[str, str, int], tuple[int, int, float]]:
        query = "select device, metric, pane, generation, count, last from pane where tenant = ?"
        with closing(sqlite3.connect(self._file)) as connection:
            return {tuple(row[:3]): tuple(row[3:]) for row in connection.execute(query, [tenant])}

    @contextmanager
    def refusing(self, tenant: str, device: str) -> Iterator[None]:
        self._run(REFUSE.format(tenant, device))
        try:
            yield
        finally:
            self._run("drop trigger refuse")

    def _run(self, statement: str) -> None:
        with closing(sqlite3.connect(self._file)) as connection:
            connection.execute(statement)


def open_store(request: pytest.FixtureRequest) -> SampleStore:
    """A file of its own for each test."""
    return SampleStore(request.getfixturevalue("tmp_path") / "panes.db")
