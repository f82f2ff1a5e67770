"""What the audit asks the stores: how far they have come, how many readings they hold, and which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import psycopg
from clickhouse_connect.driver.client import Client

from headwater.model.fleet import is_fleet
from headwater.model.pack import PANE_MS
from headwater.model.stores import DEPLOYED_QUERIES, LEVEL, LOG_TIMES, RAW_LOGS, READINGS, SINK_OFFSETS
from headwater.raw.client import edge, places_known, positions
from headwater.raw.panes import counts
from headwater.truth.balance import MINUTE_MS, Key, Name, Pane, RawKey
from headwater.truth.shares import Share
from headwater.truth.span import Span

_FEW = 500
_WINDOW_MS = 60 * PANE_MS
"""So many panes are counted at once: ClickHouse holds every series and pane of a count in memory."""
_NUMBER = "intDiv(18446744073709551615 - version, 18014398509481984)"
"""The number of the log that a reading came from, out of its version (see `sql/stores/clickhouse`)."""


class Rows:
    """The rows of PostgreSQL: those of devices, and apart from them those of fleets."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._table = LEVEL["10s"].table

    def true_up_to(self, topic: str) -> dict[int, int]:
        """Log time (epoch ms) up to which the rows are true, for each partition of the log."""
        query = f"select partition, log_time from {LOG_TIMES} where topic = %s"  # noqa: S608  # a constant
        return dict(self._connection.execute(query, (topic,)).fetchall())

    def read_up_to(self, topic: str, sink: str) -> dict[int, int]:
        """The next offset of each partition of `topic` that the sink has not stored."""
        query = f'select partition, "offset" from {SINK_OFFSETS} where topic = %s and sink = %s'  # noqa: S608
        return dict(self._connection.execute(query, (topic, sink)).fetchall())

    def edge(self) -> int:
        """Event time (epoch ms) before which retention has removed rows."""
        query = "select (extract(epoch from edge) * 1000)::bigint from level where level = '10s'"
        found = self._connection.execute(query).fetchone()
        return int(found[0]) if found else 0

    def between(self, first_ms: int, end_ms: int, share: Share) -> dict[Key, int]:
        """Counts of the rows of a share of the devices whose pane starts in [first_ms, end_ms)."""
        return self._counts(f"{_BETWEEN} and {_SHARE}", (first_ms, end_ms, share.first, share.end, share.end))

    def fleets(self, first_ms: int, end_ms: int) -> dict[Key, int]:
        """The same of the rows of fleets."""
        return self._counts(_BETWEEN, (first_ms, end_ms), fleets=True)

    def of(self, panes: Iterable[Pane]) -> dict[Key, int]:
        """Counts of the rows of some panes."""
        found: dict[Key, int] = {}
        for few in _chunks(panes):
            found |= self._counts(
                "(tenant, device, pane) in (select tenant, device, to_timestamp(ms / 1000.0)"
                " from unnest(%s::text[], %s::text[], %s::bigint[]) as wanted (tenant, device, ms))",
                tuple(list(column) for column in zip(*few, strict=True)),
            )
        return found

    def _counts(self, condition: str, given: tuple[Any, ...], fleets: bool = False) -> dict[Key, int]:
        query: Any = (
            f"select tenant, device, metric, (extract(epoch from pane) * 1000)::bigint, count from {self._table}"  # noqa: S608
            f" where {condition} and metric not in (select name from {DEPLOYED_QUERIES} where kind = 'metric')"
            f" and left(device, 1) {'=' if fleets else '<>'} '_'"
        )
        return {row[:4]: row[4] for row in self._connection.execute(query, given)}


class RawRows:
    """The readings of ClickHouse, as far as one log reaches. `span` is what was read of that log."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def stored(self, log_id: str) -> dict[int, tuple[int, int]]:
        """(next offset, log time) of each partition of the log: everything before that is stored."""
        return {one: (held.next_offset, held.log_time) for one, held in positions(self._client, log_id).items()}

    def edge(self) -> int:
        """Event time (epoch ms) before which retention has removed readings."""
        return edge(self._client)

    def _log_number(self, span: Span) -> int:
        query = f"select min(log_number) from {RAW_LOGS} where log_id = {{log_id:String}}"  # noqa: S608
        return int(self._client.query(query, {"log_id": span.log_id}).result_rows[0][0])

    def between(self, span: Span, first_ms: int, end_ms: int, share: Share) -> dict[RawKey, int]:
        """Readings of each series and pane of a share of the devices, whose record lies before the span's end.

        Of panes in [first_ms, end_ms), both multiples of 10,000.
        """
        found: dict[RawKey, int] = {}
        for first, end in _windows(first_ms, end_ms):
            given = {"first": first, "end": end, "from": share.first, "before": share.end}
            found |= self._counts(span, _RAW_BETWEEN, given)
        return found

    def of(self, span: Span, panes: Iterable[Pane]) -> dict[RawKey, int]:
        """The same, of some panes."""
        found: dict[RawKey, int] = {}
        for few in _chunks(panes):
            found |= self._counts(span, _OF_PANES, _few(few))
        return found

    def _counts(self, span: Span, condition: str, given: Mapping[str, Any]) -> dict[RawKey, int]:
        query = (
            f"select tenant, device, metric, toInt32(kind), intDiv(ts, {PANE_MS}) * {PANE_MS} as pane, count()"  # noqa: S608
            f" from {READINGS} final where {condition} and not ({_NUMBER} = %(number)s"
            " and log_offset >= transform(log_partition, %(partitions)s, %(ends)s, toUInt64(0)))"
            " group by tenant, device, metric, kind, pane"
        )
        partitions = sorted(span.end)
        ends = [span.end[partition] for partition in partitions]
        whole = {**given, "number": self._log_number(span), "partitions": partitions, "ends": ends}
        return {
            (*row[:3], int(row[3]), int(row[4])): int(row[5]) for row in self._client.query(query, whole).result_rows
        }

    def fleets(self, first_ms: int, end_ms: int, until: int) -> dict[Key, int]:
        """Readings of the members of each fleet, by metric and pane, that came before `until` (log time, epoch ms)."""
        return {
            key: one.count
            for first, end in _windows(first_ms, end_ms, MINUTE_MS)
            for key, one in counts(self._client, first, end, until).items()
            if is_fleet(key[1])
        }

    def places_known(self, partitions: int) -> int:
        """Log time (epoch ms) before which it is known where each device belonged."""
        return places_known(self._client, partitions)

    def before(self, span: Span, panes: Iterable[Pane]) -> Iterator[tuple[Pane, Name, int]]:
        """(pane, series, ts) of the readings that came in before the span began, of some panes."""
        number = self._log_number(span)
        for pane, name, ts, log_number, partition, offset in self._stamps(panes):
            if log_number != number or offset < span.first.get(partition, 0):
                yield pane, name, ts

    def held(self, panes: Iterable[Pane]) -> dict[RawKey, set[int]]:
        """The stamps of every series of some panes."""
        found: dict[RawKey, set[int]] = {}
        for (tenant, device, pane), (kind, metric), ts, *_ in self._stamps(panes):
            found.setdefault((tenant, device, metric, kind, pane), set()).add(ts)
        return found

    def _stamps(self, panes: Iterable[Pane]) -> Iterator[tuple[Pane, Name, int, int, int, int]]:
        query = (
            f"select tenant, device, ts, toInt32(kind), metric, {_NUMBER}, log_partition, log_offset"  # noqa: S608
            f" from {READINGS} final where {_OF_PANES}"
        )
        for few in _chunks(panes):
            for tenant, device, ts, kind, metric, *place in self._client.query(query, _few(few)).result_rows:
                yield (tenant, device, ts - ts % PANE_MS), (int(kind), metric), ts, *map(int, place)


_BETWEEN = "pane >= to_timestamp(%s / 1000.0) and pane < to_timestamp(%s / 1000.0)"
_SHARE = 'device collate "C" >= %s and (%s = \'\' or device collate "C" < %s)'
_RAW_BETWEEN = "ts >= %(first)s and ts < %(end)s and device >= %(from)s and (%(before)s = '' or device < %(before)s)"

_OF_PANES = (
    "ts >= %(first)s and ts < %(end)s and tenant in %(tenants)s and device in %(devices)s"
    f" and (tenant, device, intDiv(ts, {PANE_MS}) * {PANE_MS}) in %(panes)s"
)


def _few(panes: list[Pane]) -> dict[str, Any]:
    return {
        "first": min(pane for _, _, pane in panes),
        "end": max(pane for _, _, pane in panes) + PANE_MS,
        "tenants": sorted({tenant for tenant, _, _ in panes}),
        "devices": sorted({device for _, device, _ in panes}),
        "panes": panes,
    }


def _windows(first_ms: int, end_ms: int, wide_ms: int = _WINDOW_MS) -> Iterator[tuple[int, int]]:
    for first in range(first_ms, end_ms, wide_ms):
        yield first, min(first + wide_ms, end_ms)


def _chunks(panes: Iterable[Pane]) -> Iterator[list[Pane]]:
    left = iter(sorted(panes, key=lambda pane: (pane[2], pane)))
    while few := list(islice(left, _FEW)):
        yield few
