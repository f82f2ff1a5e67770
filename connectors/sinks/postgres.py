"""The way into PostgreSQL: history, whole and queryable, with its positions in the same transaction."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from typing import Any

import psycopg
import structlog

from connectors.sinks.alerts import AlertSink
from connectors.sinks.attributes import AttributeSink
from connectors.sinks.base import Batch, Sink
from connectors.sinks.consume import run
from connectors.sinks.database import connect
from connectors.sinks.events import EventSink
from connectors.sinks.partitions import Partitions
from connectors.sinks.rolling import Rolling
from connectors.sinks.rollup import roll_up_all
from connectors.sinks.statements import load_sql
from headwater.model.generation import STEP, epoch
from headwater.model.pack import Aggregate
from headwater.model.settings import SinkSettings
from headwater.model.topics import PROCESSED

_COPY = "copy sink_stage from stdin"
_KEEP_EVERY_S = 3_600
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_STATEMENT_S = 120
_PASS_S = 900
"""Longest pass of rollups over a level: it reads up to 60 rows of each series."""

_UTC = "timezone=UTC"
"""Buckets of a day begin at midnight UTC, whatever the server thinks."""

PROCESS = {
    "says": "aggregates, events, attributes and alerts into PostgreSQL",
    "depends": ("topics", "tables"),
    "beside": ("sink-events", "sink-alerts", "sink-attributes"),
}


class PostgresSink(Sink):
    """Rows of `processed-data` into `aggregate_10s`, one transaction a flush: COPY, one versioned upsert, positions.

    A flush writes everything that is pending, so the position of each partition is simply the next offset. Rows older
    than the edge of retention have no place any more and are refused, as are rows that PostgreSQL cannot represent.
    """

    name = "sink-postgres"
    outages = (psycopg.Error, OSError)
    poison = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded, UnicodeEncodeError)

    def __init__(self, settings: SinkSettings) -> None:
        super().__init__()
        self.every_ms = settings.sink_coalesce_ms
        self.applied = 0
        """Rows that were inserted or changed by this instance."""
        self._url = settings.postgres.get_secret_value()
        self._rollup_s = settings.sink_rollup_ms / 1000
        self._rolling: Rolling | None = None
        self._connected: psycopg.Connection[Any] | None = None
        self._partitions = Partitions(settings)
        self._kept_at = float("-inf")
        self._upsert = load_sql("upsert")
        self._offset = load_sql("offset")
        self._log_time = load_sql("log_time")
        self._hold, self._shown, self._release = load_sql("hold"), load_sql("shown"), load_sql("release")
        self._partition_count = settings.partitions
        self._log = structlog.get_logger(__name__)

    def positions(self) -> dict[int, int]:
        """What `sink_offset` holds for this very log."""
        held = self._connection().execute(
            'select partition, "offset", log_id from sink_offset where sink = $1 and topic = $2',
            [self.name, PROCESSED.name],
        )
        rows = held.fetchall()
        others = sorted({log for _, _, log in rows} - {"", self.log_id})
        if others and self.log_id:
            self._log.warning(
                "sink.another-log",
                detail=f"expected positions of {PROCESSED.name} with the topic id {self.log_id}, got {others}: "
                "the topic was made anew or Kafka was replaced. Reading it from its beginning",
            )
        return {partition: offset for partition, offset, log in rows if log in ("", self.log_id) or not self.log_id}

    def store(self, batch: Batch) -> None:
        """One transaction: rows by version, marks for the rollups, log times, markers, positions.

        Rows of an epoch that is not shown yet wait in `held_10s` where they would replace a row of a lower one.
        """
        connection = self._connection()
        rows = self._with_a_place(batch.rows.values())
        self._partitions.ensure(connection, (row.pane for row in rows))
        applied = 0
        with connection.transaction(), connection.cursor() as cursor:
            if rows:
                with cursor.copy(_COPY) as copy:
                    copy.write("".join(map(_line, rows)))
                if any(epoch(row.generation) for row in rows):
                    cursor.execute(self._hold, [STEP, self._partition_count])
                applied = self._apply_stage(cursor)
            if batch.markers:
                cursor.executemany(self._shown, sorted(batch.markers.items()))
                applied += self._release_held(cursor)
            if batch.beats:
                cursor.executemany(self._log_time, [(*beat, at) for beat, at in sorted(batch.beats.items())])
            if batch.positions:
                cursor.executemany(
                    self._offset,
                    [(self.name, PROCESSED.name, *each, self.log_id) for each in sorted(batch.positions.items())],
                )
        self.applied += applied

    def _apply_stage(self, cursor: psycopg.Cursor[Any]) -> int:
        counted = cursor.execute(self._upsert).fetchone()
        return int(counted[0]) if counted else 0

    def _release_held(self, cursor: psycopg.Cursor[Any]) -> int:
        cursor.execute("truncate sink_stage")
        found = cursor.execute(self._release, [STEP, self._partition_count, self._partitions.oldest_ms]).rowcount
        if not found:
            return 0
        applied = self._apply_stage(cursor)
        self._log.info("sink.released", rows=found, applied=applied)
        return applied

    def upkeep(self) -> None:
        """Partitions each hour; rollups go on beside."""
        now = time.monotonic()
        if now - self._kept_at >= _KEEP_EVERY_S:
            self._partitions.keep(self._connection())
            self._kept_at = now
        if self._rolling is None:
            self._rolling = Rolling(partial(connect, self._url, self.name, _PASS_S, _UTC), self._rollup_s)

    def close(self) -> None:
        """Flush, roll up what that changed, and let go."""
        try:
            self.flush()
            self._end_rollups()
            roll_up_all(self._connection())
        finally:
            self.disconnect()

    def disconnect(self) -> None:
        """End the rollups, and close the connection without waiting for the server."""
        self._end_rollups()
        if self._connected is not None:
            self._connected.close()
            self._connected = None

    def _end_rollups(self) -> None:
        if self._rolling is not None:
            self._rolling.stop()
            self._rolling = None

    def _connection(self) -> psycopg.Connection[Any]:
        if self._connected is None:
            connection = connect(self._url, self.name, _STATEMENT_S, _UTC)
            try:
                connection.execute(load_sql("stage"))
                self._partitions.load(connection)
            except psycopg.Error:
                connection.close()
                raise
            self._connected = connection
        return self._connected

    def _with_a_place(self, rows: Iterable[Aggregate]) -> list[Aggregate]:
        oldest = self._partitions.oldest_ms
        kept: list[Aggregate] = []
        outlived: list[Aggregate] = []
        for row in rows:
            (kept if row.pane >= oldest else outlived).append(row)
        if outlived:
            self.refuse(outlived, f"expected a pane from {oldest} on: HEADWATER_KEEP_10S_DAYS is past")
        return kept


def _line(row: Aggregate) -> str:
    """The row as COPY reads it: tab between columns, floats with every digit."""
    tenant, device, metric = row.tenant, row.device, row.metric
    names = f"{tenant}{device}{metric}"
    if "\\" in names or not names.isprintable():
        tenant, device, metric = (name.translate(_ESCAPES) for name in (tenant, device, metric))
    return (
        f"{tenant}\t{device}\t{metric}\t{row.pane}\t{row.generation}\t{row.count}\t{row.sum!r}\t{row.sum_sq!r}\t"
        f"{row.min!r}\t{row.max!r}\t{row.first_ms}\t{row.last_ms}\t{row.last!r}\t{row.as_of}\t{row.received}\t{row.dup}\n"
    )


def main() -> None:
    """Run until SIGTERM."""
    settings = SinkSettings()
    run(PostgresSink(settings), settings, EventSink(settings), AlertSink(settings), AttributeSink(settings))


if __name__ == "__main__":
    main()
