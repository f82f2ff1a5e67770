"""The way of `device-events` into PostgreSQL: every event once, and what they say of each device's connection.

It runs beside the sink of aggregates, in the same process: events are few.
"""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg
import structlog

from connectors.sinks.connections import ends_and_begins
from connectors.sinks.records import RecordSink
from connectors.sinks.statements import load_sql
from headwater.clock import now_ms
from headwater.model.codec import VERSION
from headwater.model.event import BROKER_RESTARTED, BROKER_TENANT, DeviceEvent, Kind
from headwater.model.settings import SinkSettings
from headwater.model.topics import DEVICE_EVENTS

_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000


class EventSink(RecordSink):
    """Events into `device_event`, and from them `device_connection`, `broker_start` and `device_first_seen`.

    An event that comes again changes nothing (its id), and the state of connections does not depend on the order in
    which events come (their numbers). Two things are concluded here: the end of connections whose broker died, from its
    next start, and that a device was seen for the first time.
    """

    topic = DEVICE_EVENTS
    name = "sink-events"
    kind = DeviceEvent

    def __init__(self, settings: SinkSettings) -> None:
        super().__init__(settings)
        self._keep_ms, self._keep_each = settings.keep_events_days * _DAY_MS, settings.keep_events_each
        self._log = structlog.get_logger(__name__)
        statements = ("insert", "known_ends", "connections", "broker", "restarted", "first_seen")
        self._sql = {name: load_sql(name, "events") for name in (*statements, "trim", "trim_connections")}

    def store_records(self, cursor: psycopg.Cursor[Any], records: list[DeviceEvent]) -> None:
        """Events, connections, and what is concluded from them."""
        told = [event for event in records if event.tenant != BROKER_TENANT]
        self._insert(cursor, told)
        given = _json(told)
        cursor.execute(self._sql["known_ends"], [given, BROKER_RESTARTED])
        cursor.execute(self._sql["connections"], [msgspec.json.encode(ends_and_begins(told)).decode()])
        for event in records:
            if event.kind == Kind.BROKER_STARTED:
                cursor.execute(self._sql["broker"], [event.device, event.connection, event.at])
        ended = cursor.execute(self._sql["restarted"], [BROKER_RESTARTED]).fetchall()
        first = cursor.execute(self._sql["first_seen"], [given]).fetchall()
        self._insert(cursor, [*map(_ended, ended), *map(_first_seen, first)])
        if ended:
            self._log.info("events.broker-restarted", connections=len(ended))

    def forget(self, connection: psycopg.Connection[Any]) -> None:
        """What is too old or too much, and connections that ended an hour ago."""
        gone = connection.execute(self._sql["trim"], [now_ms() - self._keep_ms, self._keep_each]).rowcount
        connection.execute(self._sql["trim_connections"], [now_ms() - _HOUR_MS])
        if gone:
            self._log.info("events.trimmed", events=gone)

    def _insert(self, cursor: psycopg.Cursor[Any], events: list[DeviceEvent]) -> None:
        if events:
            cursor.execute(self._sql["insert"], [_json(events), now_ms() - self._keep_ms])


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
