"""Forgets raw readings after some days of event time: first the edge is written, then whole days are dropped.

Behind the edge nothing is taken in any more, so what was removed does not come back in part. A day that another
instance stored meanwhile is dropped at the next turn; readers leave out what lies before the edge.
"""

from __future__ import annotations

import time

import structlog
from clickhouse_connect.driver.client import Client

from headwater.clock import now_ms
from headwater.model.stores import RAW_EDGE, READINGS
from headwater.raw.client import edge

_EVERY_S = 3_600
_DAY_MS = 86_400_000


class Retention:
    """The edge of the raw store, `days` behind the clock and never moved back."""

    def __init__(self, days: int) -> None:
        self._days = days
        self._kept_at = float("-inf")
        self._log = structlog.get_logger(__name__)

    def keep(self, client: Client) -> None:
        """Once an hour, and at the first call: moves the edge and drops what lies before it."""
        if time.monotonic() - self._kept_at >= _EVERY_S:
            self.move(client, now_ms())
            self._kept_at = time.monotonic()

    def move(self, client: Client, now_ms: int) -> list[int]:
        """The same at once, as of `now_ms` (epoch ms). Returns the days (since 1970) that were dropped."""
        held = edge(client)
        wanted = max(held, (now_ms // _DAY_MS - self._days) * _DAY_MS)
        if wanted > held:
            client.insert(RAW_EDGE, [[wanted, now_ms]], column_names=["before_ms", "written_ms"])
        found = client.query(
            "select distinct toInt64(partition) as day from system.parts"
            " where active and database = currentDatabase() and table = {table:String}"
            " and toInt64(partition) < {first:Int64} order by day",
            {"table": READINGS, "first": wanted // _DAY_MS},
        )
        days = [int(row[0]) for row in found.result_rows]
        for day in days:
            client.command(f"alter table {READINGS} drop partition {day}")
        if days:
            self._log.info("retention.dropped", days=len(days), before_ms=wanted)
        return days
