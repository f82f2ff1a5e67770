"""The smallest sink that keeps the contract, to begin a new one from: rows of all panes in a file of SQLite.

As `connectors/sinks/sqlite.py` it is a program of the stack.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from connectors.sinks.base import Batch, Sink
from connectors.sinks.consume import run
from connectors.sinks.waiting import Waiting
from headwater.model.generation import STEP
from headwater.model.settings import SinkSettings, state_folder

PROCESS = {"says": "rows into a file of SQLite", "depends": ("topics",)}

TABLE = """
create table if not exists pane (
    tenant text, device text, metric text, pane integer, generation integer, count integer, last real, as_of integer,
    primary key (tenant, device, metric, pane)
) without rowid
"""
UPSERT = f"""
insert into pane values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
on conflict do update
set generation = excluded.generation, count = excluded.count, last = excluded.last, as_of = excluded.as_of
where (excluded.generation, excluded.count, excluded.as_of) >= (generation, count, as_of)
    and (excluded.generation < ?9 or excluded.generation / {STEP} <= generation / {STEP})
"""


class SqliteSink(Sink):
    """Rows by version, each flush a transaction; positions are left to Kafka, and committed after it."""

    name = "sink-sqlite"
    keeps_positions = False
    refill_ms = None  # an empty file is filled from all of the log
    outages = (sqlite3.Error, OSError)

    def __init__(self, settings: SinkSettings, file: Path | None = None) -> None:
        super().__init__()
        self._file = file or state_folder() / "panes.db"
        self._waiting = Waiting(settings.partitions)
        self._connected: sqlite3.Connection | None = None

    def positions(self) -> dict[int, int]:
        """None are kept here."""
        self._connection()
        return {}

    def holds_data(self) -> bool:
        """False if the file is new, although positions may be known to Kafka."""
        with closing(self._connection().execute("select exists (select 1 from pane)")) as found:
            return bool(found.fetchone()[0])

    def store(self, batch: Batch) -> None:
        """One transaction."""
        rows = [
            (row.tenant, row.device, row.metric, row.pane, row.generation, row.count, row.last, row.as_of)
            for row in self._waiting.offered(batch)
        ]
        with self._connection() as transaction:
            transaction.executemany(UPSERT, [(*row, self._waiting.hidden) for row in rows])
        self._waiting.stored(batch)

    def holds_rows_back(self) -> bool:
        """While rows of a rebuild wait."""
        return bool(self._waiting)

    def disconnect(self) -> None:
        """Close the file and forget what waits."""
        self._waiting.forget()
        if self._connected is not None:
            self._connected.close()
            self._connected = None

    def _connection(self) -> sqlite3.Connection:
        if self._connected is None:
            self._connected = sqlite3.connect(self._file)
            self._connected.execute("pragma journal_mode = wal")
            self._connected.execute(TABLE)
        return self._connected


def main() -> None:
    """Run until SIGTERM."""
    settings = SinkSettings()
    run(SqliteSink(settings), settings)


if __name__ == "__main__":
    main()
