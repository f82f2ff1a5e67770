"""Keeps the partitions of PostgreSQL ahead of the data, and drops what retention has outlived.

How tables are cut is known to the database (`make_partition`, `drop_partitions`): with TimescaleDB the same two
functions have nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import structlog

from connectors.sinks.rollup import roll_up_all
from headwater.model.settings import SinkSettings

Connection = psycopg.Connection[Any]

_AHEAD = timedelta(days=2)
_DAY_MS = 86_400_000


class Partitions:
    """What is known of the partitions of all levels: which days have theirs, and where each level begins."""

    def __init__(self, settings: SinkSettings) -> None:
        self._keep = {
            "10s": settings.keep_10s_days,
            "1m": settings.keep_1m_days,
            "1h": settings.keep_1h_days,
            "1d": settings.keep_1d_days,
        }
        self._edges: dict[str, datetime] = {}
        self._days: set[int] = set()
        self._log = structlog.get_logger(__name__)

    @property
    def oldest_ms(self) -> int:
        """Start (epoch ms) of the oldest pane that still has a place: before it, retention has removed the rows."""
        return int(self._edges["10s"].timestamp() * 1000)

    def load(self, connection: Connection) -> None:
        """Learn where each level begins, and forget which days are known: another instance may have moved both."""
        self._days.clear()
        self._edges = dict(connection.execute("select level, edge from level").fetchall())

    def ensure(self, connection: Connection, panes: Iterable[int]) -> None:
        """Make what is missing for these panes (epoch ms), at every level; none may lie before `oldest_ms`."""
        for day in {pane // _DAY_MS for pane in panes} - self._days:
            start = datetime.fromtimestamp(day * _DAY_MS / 1000, UTC)
            with connection.transaction():
                for level, edge in self._edges.items():
                    if start >= edge:
                        connection.execute("select make_partition($1, $2)", [level, start])
            self._days.add(day)

    def keep(self, connection: Connection, now: datetime | None = None) -> list[str]:
        """Make the partitions of the coming days, drop those past retention; returns the names of the dropped.

        A drop that would have to wait for a long query is left for the next call: waiting, it would block all readers.
        """
        now = now or datetime.now(UTC)
        if any(self._outlived(connection, level, now - timedelta(days=days)) for level, days in self._keep.items()):
            roll_up_all(connection)  # a mark whose rows are gone can no longer be worked off
        first, last = int(now.timestamp()), int((now + _AHEAD).timestamp())
        self.ensure(connection, [second * 1000 for second in range(first, last + 1, 86_400)])
        dropped: list[str] = []
        for level, days in self._keep.items():
            try:
                with connection.transaction():
                    connection.execute("set local lock_timeout = '2s'")
                    oldest = now - timedelta(days=days)
                    rows = connection.execute("select drop_partitions($1, $2)", [level, oldest]).fetchall()
            except psycopg.errors.LockNotAvailable:
                self._log.warning("partitions.busy", level=level, detail="a query holds them; tried again later")
                continue
            dropped += [name for (name,) in rows]
        if dropped:
            self._log.info("partitions.dropped", names=dropped)
        self.load(connection)
        return dropped

    def _outlived(self, connection: Connection, level: str, oldest: datetime) -> bool:
        """Whether `drop_partitions` would move the edge of this level."""
        query = "select date_trunc(unit, $2, 'UTC') > edge from level where level = $1"
        found = connection.execute(query, [level, oldest]).fetchone()
        return bool(found and found[0])
