"""Ways into PostgreSQL for topics of few records: every record once, and its positions in the same transaction.

Such a sink runs beside that of the aggregates, in the same process.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

import psycopg

from connectors.sinks.base import Sink
from connectors.sinks.database import connect
from connectors.sinks.statements import load_sql
from headwater.model import codec
from headwater.model.codec import device_key
from headwater.model.errors import BadRecord
from headwater.model.pack import PULSE_TENANT
from headwater.model.settings import SinkSettings

_UPKEEP_S = 3_600
_IDLE_S = 10.0
_BEAT = device_key(PULSE_TENANT, "")
_STATEMENT_S = 60


class Records:
    """What one write consists of: records, and the next offset to read of each partition once they are stored."""

    def __init__(self, records: list[Any] | None = None, positions: dict[int, int] | None = None) -> None:
        self.records = records or []
        self.positions = positions or {}

    def items(self) -> list[Any]:
        """The records."""
        return self.records

    def without_items(self) -> Records:
        """The positions alone."""
        return Records([], self.positions)

    def halves(self) -> tuple[Records, Records]:
        """Two batches that together are this one; only the second carries the positions."""
        middle = len(self.records) // 2
        return Records(self.records[:middle]), Records(self.records[middle:], self.positions)


class RecordSink(Sink):
    """A sink of `kind`; what a batch of records means for the tables is `store_records`.

    One transaction a flush, its positions in it. A record may come again: it must change nothing then.
    """

    kind: type[Any]
    every_ms = 100
    most_pending = 5_000
    outages = (psycopg.Error, OSError)
    poison = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded, UnicodeEncodeError)

    def __init__(self, settings: SinkSettings) -> None:
        super().__init__()
        self._url = settings.postgres.get_secret_value()
        self._kept_at = float("-inf")
        self._connected: psycopg.Connection[Any] | None = None
        self._offset = load_sql("offset")

    @abstractmethod
    def store_records(self, cursor: psycopg.Cursor[Any], records: list[Any]) -> None:
        """Writes the records in the transaction of `cursor`."""

    @abstractmethod
    def forget(self, connection: psycopg.Connection[Any]) -> None:
        """Removes what is past its time; called each hour."""

    def batch(self) -> Records:
        """An empty one."""
        return Records()

    def decode(self, message: Any) -> Any:
        """The record; None for a beat of the pulse. Raises `BadRecord`."""
        if (message.key() or b"").startswith(_BEAT):
            return None
        record = codec.decode(self.kind, message.value())
        if any("\0" in text for text in map(str, (getattr(record, name) for name in record.__struct_fields__))):
            raise BadRecord("expected text without NUL")
        return record

    def write(self, rows: Iterable[Any], positions: dict[int, int]) -> None:
        """Take records, and the next offset to read of each partition. Holds them until a flush."""
        self.pending.records += [record for record in rows if record is not None]
        self.pending.positions.update(positions)

    def due(self) -> bool:
        """At once if there are records; positions that only beats have moved are kept each 10 s."""
        if self.pending.records:
            return super().due()
        return bool(self.pending.positions) and time.monotonic() - self._flushed_at >= _IDLE_S

    def positions(self) -> dict[int, int]:
        """What `sink_offset` holds for this very log."""
        rows = self._connection().execute(
            'select partition, "offset" from sink_offset where sink = $1 and topic = $2 and log_id = $3',
            [self.name, self.topic.name, self.log_id],
        )
        return dict(rows.fetchall())

    def store(self, batch: Records) -> None:
        """One transaction: what the records say, and positions."""
        connection = self._connection()
        with connection.transaction(), connection.cursor() as cursor:
            if batch.records:
                self.store_records(cursor, batch.records)
            if batch.positions:
                cursor.executemany(
                    self._offset,
                    [(self.name, self.topic.name, *each, self.log_id) for each in sorted(batch.positions.items())],
                )

    def upkeep(self) -> None:
        """Each hour: forgets."""
        if time.monotonic() - self._kept_at < _UPKEEP_S:
            return
        self.forget(self._connection())
        self._kept_at = time.monotonic()

    def disconnect(self) -> None:
        """Close the connection without waiting for the server."""
        if self._connected is not None:
            self._connected.close()
            self._connected = None

    def _connection(self) -> psycopg.Connection[Any]:
        if self._connected is None:
            self._connected = connect(self._url, self.name, _STATEMENT_S)
        return self._connected
