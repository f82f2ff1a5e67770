"""The way of `device-events` into PostgreSQL: every event once, and what they say of each device's connection.

It runs beside the sink of aggregates, in the same process: events are few.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from importlib.resources import files
from typing import Any, LiteralString

import msgspec
import psycopg
import structlog

from connectors.sinks.base import Sink
from connectors.sinks.connections import ends_and_begins
from headwater.model import codec
from headwater.model.codec import VERSION, device_key
from headwater.model.errors import BadRecord
from headwater.model.event import BROKER_RESTARTED, BROKER_TENANT, DeviceEvent, Kind
from headwater.model.pack import PULSE_TENANT
from headwater.model.settings import SinkSettings
from headwater.model.topics import DEVICE_EVENTS

_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_KEEP_EVERY_S = 3_600
_IDLE_S = 10.0
_BEAT = device_key(PULSE_TENANT, "")
_OPTIONS = "-c idle_in_transaction_session_timeout=15s -c statement_timeout=60s"


def _sql(name: str) -> LiteralString:
    return (files("sql") / "stores" / "postgres" / "events" / f"{name}.sql").read_text()


class Events:
    """What one write consists of: events, and the next offset to read of each partition once they are stored."""

    def __init__(self, events: list[DeviceEvent] | None = None, positions: dict[int, int] | None = None) -> None:
        self.events = events or []
        self.positions = positions or {}

    def items(self) -> list[DeviceEvent]:
        """The events."""
        return self.events

    def without_items(self) -> Events:
        """The positions alone."""
        return Events([], self.positions)

    def halves(self) -> tuple[Events, Events]:
        """Two batches that together are this one; only the second carries the positions."""
        middle = len(self.events) // 2
        return Events(self.events[:middle]), Events(self.events[middle:], self.positions)


class EventSink(Sink):
    """Events into `device_event`, and from them `device_connection`, `broker_start` and `device_first_seen`.

    One transaction a flush, its positions in it. An event that comes again changes nothing (its id), and the state of
    connections does not depend on the order in which events come (their numbers). Two things are concluded here: the
    end of connections whose broker died, from its next start, and that a device was seen for the first time.
    """

    topic = DEVICE_EVENTS
    name = "sink-events"
    every_ms = 100
    most_pending = 5_000
    outages = (psycopg.Error, OSError)
    poison = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded, UnicodeEncodeError)

    def __init__(self, settings: SinkSettings) -> None:
        super().__init__()
        self._url = settings.postgres.get_secret_value()
        self._keep_ms, self._keep_each = settings.keep_events_days * _DAY_MS, settings.keep_events_each
        self._kept_at = float("-inf")
        self._connected: psycopg.Connection[Any] | None = None
        self._log = structlog.get_logger(__name__)
        statements = ("insert", "known_ends", "connections", "broker", "restarted", "first_seen", "offset")
        self._sql = {name: _sql(name) for name in (*statements, "trim", "trim_connections")}

    def batch(self) -> Events:
        """An empty one."""
        return Events()

    def decode(self, message: Any) -> DeviceEvent | None:
        """The event; None for a beat of the pulse. Raises `BadRecord`."""
        if (message.key() or b"").startswith(_BEAT):
            return None
        event = codec.decode(DeviceEvent, message.value())
        if "\0" in f"{event.tenant}{event.device}{event.client}{event.detail}{event.reason}{event.address}":
            raise BadRecord("expected names without NUL")
        return event

    def letter(self, item: DeviceEvent) -> tuple[bytes, str, str]:
        """The event as it travels."""
        return codec.encode(item), item.tenant, item.device

    def write(self, rows: Iterable[DeviceEvent | None], positions: dict[int, int]) -> None:
        """Take events, and the next offset to read of each partition. Holds them until a flush."""
        self.pending.events += [event for event in rows if event is not None]
        self.pending.positions.update(positions)

    def due(self) -> bool:
        """At once if there are events; positions that only beats have moved are kept each 10 s."""
        if self.pending.events:
            return super().due()
        return bool(self.pending.positions) and time.monotonic() - self._flushed_at >= _IDLE_S

    def positions(self) -> dict[int, int]:
        """What `sink_offset` holds for this very log."""
        rows = self._connection().execute(
            'select partition, "offset" from sink_offset where sink = $1 and topic = $2 and log_id = $3',
            [self.name, self.topic.name, self.log_id],
        )
        return dict(rows.fetchall())

    def store(self, batch: Events) -> None:
        """One transaction: events, connections, what is concluded from them, positions."""
        connection = self._connection()
        with connection.transaction(), connection.cursor() as cursor:
            if batch.events:
                self._store_events(cursor, batch.events)
            if batch.positions:
                cursor.executemany(
                    self._sql["offset"],
                    [(self.name, self.topic.name, *each, self.log_id) for each in sorted(batch.positions.items())],
                )

    def _store_events(self, cursor: psycopg.Cursor[Any], events: list[DeviceEvent]) -> None:
        told = [event for event in events if event.tenant != BROKER_TENANT]
        self._insert(cursor, told)
        given = _json(told)
        cursor.execute(self._sql["known_ends"], [given, BROKER_RESTARTED])
        cursor.execute(self._sql["connections"], [msgspec.json.encode(ends_and_begins(told)).decode()])
        for event in events:
            if event.kind == Kind.BROKER_STARTED:
                cursor.execute(self._sql["broker"], [event.device, event.connection, event.at])
        ended = cursor.execute(self._sql["restarted"], [BROKER_RESTARTED]).fetchall()
        first = cursor.execute(self._sql["first_seen"], [given]).fetchall()
        self._insert(cursor, [*map(_ended, ended), *map(_first_seen, first)])
        if ended:
            self._log.info("events.broker-restarted", connections=len(ended))

    def _insert(self, cursor: psycopg.Cursor[Any], events: list[DeviceEvent]) -> None:
        if events:
            cursor.execute(self._sql["insert"], [_json(events), _now_ms() - self._keep_ms])

    def upkeep(self) -> None:
        """Each hour: forgets what is too old or too much."""
        if time.monotonic() - self._kept_at < _KEEP_EVERY_S:
            return
        connection = self._connection()
        gone = connection.execute(self._sql["trim"], [_now_ms() - self._keep_ms, self._keep_each]).rowcount
        connection.execute(self._sql["trim_connections"], [_now_ms() - _HOUR_MS])
        if gone:
            self._log.info("events.trimmed", events=gone)
        self._kept_at = time.monotonic()

    def disconnect(self) -> None:
        """Close the connection without waiting for the server."""
        if self._connected is not None:
            self._connected.close()
            self._connected = None

    def _connection(self) -> psycopg.Connection[Any]:
        if self._connected is None:
            self._connected = psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=5,
                options=_OPTIONS,
                application_name=self.name,
                cursor_factory=psycopg.RawCursor,
                keepalives_idle=10,
            )
        return self._connected


def _json(events: list[DeviceEvent]) -> str:
    """Every column of `device_event`, as `jsonb_to_recordset` reads it."""
    rows = [{name: getattr(event, name) for name in (*DeviceEvent.__struct_fields__, "id")} for event in events]
    return msgspec.json.encode(rows).decode()


def _ended(row: tuple[Any, ...]) -> DeviceEvent:
    tenant, device, at, connection, client, address, protocol = row
    return DeviceEvent(
        v=VERSION,
        tenant=tenant,
        device=device,
        kind=Kind.DISCONNECTED.value,
        at=at,
        reason=BROKER_RESTARTED,
        connection=connection,
        client=client,
        address=address,
        protocol=protocol,
    )


def _first_seen(row: tuple[Any, ...]) -> DeviceEvent:
    tenant, device, at = row
    return DeviceEvent(v=VERSION, tenant=tenant, device=device, kind=Kind.FIRST_SEEN.value, at=at)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
