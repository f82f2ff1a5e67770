"""The way of `alerts` into PostgreSQL: every event once, and each episode as its events leave it."""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg
import structlog

from connectors.sinks.records import RecordSink
from connectors.sinks.statements import load_sql
from headwater.clock import now_ms
from headwater.model.alert import AlertEvent
from headwater.model.settings import SinkSettings
from headwater.model.topics import ALERTS

_DAY_MS = 86_400_000


class AlertSink(RecordSink):
    """Events into `alert_event`, folded into `alert`. What people have said of alerts is in a table of its own.

    An event that comes again changes nothing, and an episode is folded from all of its events, so neither repeats nor
    the order of arrival matter.
    """

    topic = ALERTS
    name = "sink-alerts"
    kind = AlertEvent

    def __init__(self, settings: SinkSettings) -> None:
        super().__init__(settings)
        self._keep_ms = settings.keep_alerts_days * _DAY_MS
        self._insert, self._fold, self._trim = (load_sql(name, "episodes") for name in ("insert", "fold", "trim"))
        self._log = structlog.get_logger(__name__)

    def store_records(self, cursor: psycopg.Cursor[Any], records: list[AlertEvent]) -> None:
        """The events that are new, and the episodes that they belong to."""
        rows = [{name: getattr(event, name) for name in AlertEvent.__struct_fields__} for event in records]
        given = msgspec.json.encode(rows).decode()
        touched = cursor.execute(self._insert, [given, self._oldest()]).fetchall()
        if touched:
            cursor.execute(self._fold, [[tenant for tenant, _ in touched], [alert for _, alert in touched]])

    def forget(self, connection: psycopg.Connection[Any]) -> None:
        """Episodes that were cleared longer ago than HEADWATER_KEEP_ALERTS_DAYS."""
        row = connection.execute(self._trim, [self._oldest()]).fetchone()
        if row and row[0]:
            self._log.info("alerts.trimmed", episodes=row[0])

    def _oldest(self) -> int:
        return now_ms() - self._keep_ms
