"""What the sinks into ClickHouse share: one connection, made when it is wanted, and how positions are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clickhouse_connect.driver.client import Client

from connectors.sinks.base import Sink
from headwater.model.settings import SinkSettings
from headwater.raw import client as raw

_COLUMNS = ("log_id", "log_partition", "next_offset", "log_time")
# Without them the client asks for them before each insert.
_TYPES = ("String", "UInt32", "UInt64", "Int64")


class RawSink(Sink):
    """A sink into the raw store."""

    outages = raw.OUTAGES

    def __init__(self, settings: SinkSettings) -> None:
        super().__init__()
        self._settings = settings
        self._connected: Client | None = None

    def disconnect(self) -> None:
        """Drop the connection; the next call makes a new one."""
        client, self._connected = self._connected, None
        if client is not None:
            client.close()

    def _client(self) -> Client:
        if self._connected is None:
            self._connected = raw.connect(self._settings, self.name)
        return self._connected

    def _insert_positions(self, table: str, positions: Mapping[int, int], log_times: Mapping[int, int]) -> None:
        """How far each partition is: its next offset, and the log time (epoch ms) up to there."""
        if positions:
            rows: list[list[Any]] = [
                [self.log_id, partition, offset, log_times.get(partition, 0)]
                for partition, offset in sorted(positions.items())
            ]
            self._client().insert(table, rows, column_names=_COLUMNS, column_type_names=_TYPES)
