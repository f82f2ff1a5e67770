"""The audit at the close: once a minute of event time has closed, its rows are compared with the raw store.

A minute has closed when log time has passed its end by the horizon, as held by both stores; some slack more, and its
last rows should be in PostgreSQL. One query a store, all series at once. What differs may still be on its way (a
correction, a sink that lags), so it is judged only when everything that was known at the first look must have arrived:

1. log time has come through the job to PostgreSQL past every reading that the raw store had at the first look: so each
   late pack among them has been named on `corrections`;
2. the worker is past what was on `corrections` then: so the recomputed rows are on `processed-data`;
3. the sink is past what was on `processed-data` then: so they are in PostgreSQL.

A row is right if its count lies between what the raw store had at the first look and what it has at the second. What is
not is repaired: the recomputed row is published, with a higher generation where readings must be taken away. A row of
which the raw store has no reading at all is counted and left: rather an alarm than a good row destroyed. Minutes are
done one after the other, and the newest that is done is remembered in PostgreSQL, so a killed audit goes on. Rows of
fleets are held to the readings of their members in the same way.

Known ways to differ: one reading sent in two different metric sets (the job knows a reading again within a set), and
state that the job has lost.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from clickhouse_connect.driver.client import Client

from headwater.model.settings import CorrectionsSettings
from headwater.model.topics import CORRECTIONS, PROCESSED
from headwater.raw.client import edge, places_known, positions
from headwater.raw.panes import Held, PaneKey, counts, fold
from headwater.truth.reference import RELATIVE
from headwater.workers import corrections_meters as meters
from headwater.workers.coalesce import Waiting
from headwater.workers.ends import next_offsets, reached
from headwater.workers.publishing import Publisher
from headwater.workers.stored import Repair, Stored, StoredRows

WIDTH_MS = 60_000
"""What is audited at a time."""

_ASK_EVERY_S = 1.0
_FORGET_EVERY_S = 3_600.0
_BUSY_S = 1.0


@dataclass
class Doubt:
    """A minute of which rows differed at the first look: what the raw store had of them, and what is waited for."""

    minute: int
    rows: int
    raw: dict[PaneKey, Held]
    log_time: int
    corrections: dict[int, int] | None = None
    processed: dict[int, int] | None = None


class Closing:
    """Audits one minute after the other, a little at each `step`, between the corrections of the same thread.

    That it is the same thread matters: a repair with a higher generation is never older than a correction.
    """

    def __init__(
        self, settings: CorrectionsSettings, raw: Client, stored: StoredRows, publisher: Publisher, consumer: Any
    ) -> None:
        self._after_ms = WIDTH_MS + settings.horizon_ms + settings.audit_slack_ms
        self._partitions = settings.partitions
        self._most_rows = settings.corrections_rows
        self._raw = raw
        self._stored = stored
        self._publisher = publisher
        self._consumer = consumer
        self._next: int | None = None
        self._doubt: Doubt | None = None
        self._asked_at = self._forgot_at = float("-inf")
        self._log = structlog.get_logger(__name__)

    def step(self, corrected: dict[int, int]) -> None:
        """Go on as far as is possible now, for about a second; `corrected` is the next offset of `corrections` to do.

        Raises what the stores and Kafka raise when they are away.
        """
        if time.monotonic() - self._asked_at < _ASK_EVERY_S:
            return
        log_time = self._log_time()
        begun = self._asked_at = time.monotonic()
        if log_time is None:
            return
        while time.monotonic() - begun < _BUSY_S:
            if self._doubt is not None:
                if not self._settled(self._doubt, corrected):
                    return
                self._judge(self._doubt)
            elif not self._look(log_time):
                return

    def _log_time(self) -> int | None:
        """Log time (epoch ms) that every partition has passed in both stores, and that of the registry in one."""
        sunk = self._stored.log_time()
        held = positions(self._raw)
        if sunk is None or len(held) < self._partitions:
            return None
        return min(sunk, places_known(self._raw, self._partitions) - 1, *(place.log_time for place in held.values()))

    def _look(self, log_time: int) -> bool:
        """Compare the next minute, if it has closed; false if it has not."""
        minute = self._minute(log_time)
        if minute + self._after_ms > log_time:
            return False
        stored = self._stored.counts(minute, minute + WIDTH_MS)
        raw = counts(self._raw, minute, minute + WIDTH_MS, places_known(self._raw, self._partitions))
        if edge(self._raw) > minute:  # retention began to remove it while we read
            return True
        differing = differences(stored, raw)
        rows = len(stored.keys() | raw.keys())
        if differing:
            meters.DIFFERED.inc(len(differing))
            known = {key: raw.get(key, Held(0, 0.0, 0)) for key in differing}
            self._doubt = Doubt(minute, rows, known, max(one.as_of for one in known.values()))
        else:
            self._done(minute, rows, {})
        return True

    def _minute(self, log_time: int) -> int:
        """The next minute; the first one ever is the one that closed last."""
        if self._next is None:
            last = self._stored.last_audited()
            newest = (log_time - self._after_ms) // WIDTH_MS * WIDTH_MS
            self._next = newest if last is None else last + WIDTH_MS
        removed = max(edge(self._raw), self._stored.edge())
        self._next = max(self._next, -(-removed // WIDTH_MS) * WIDTH_MS)
        return self._next

    def _settled(self, doubt: Doubt, corrected: dict[int, int]) -> bool:
        """Whether all that was known at the first look has arrived; see the module."""
        if doubt.corrections is None:
            log_time = self._stored.log_time()
            if log_time is None or log_time <= doubt.log_time:
                return False
            doubt.corrections = next_offsets(self._consumer, CORRECTIONS)
        if doubt.processed is None:
            if not reached(corrected, doubt.corrections):
                return False
            doubt.processed = next_offsets(self._consumer, PROCESSED)
        return reached(self._stored.sunk(), doubt.processed)

    def _judge(self, doubt: Doubt) -> None:
        """The second look: repair what is wrong for good."""
        causes: Counter[str] = Counter()
        stored = self._stored.counts(doubt.minute, doubt.minute + WIDTH_MS)
        asked, known = Waiting(), places_known(self._raw, self._partitions)
        for key in doubt.raw:
            asked.want(key, doubt.log_time)
        for read in asked.reads(self._most_rows):
            rows = {row.key: row for row in fold(self._raw, read.spans, read.metrics, known)}
            versions = self._stored.versions(read.spans, read.metrics)
            if edge(self._raw) > doubt.minute:
                break
            repairs = []
            for key in read.wanted:
                row, held = rows.get(key), stored.get(key)
                now = Held(row.count, row.sum, row.as_of) if row else None
                why = cause(held, doubt.raw[key].count, now)
                if not why:
                    continue
                causes[why] += 1
                self._tell(why, key, held, now.count if now else None)
                if row is not None:
                    version = self._stored.next_version(versions, key)
                    generation = version.generation + (why in ("more", "changed"))
                    row = msgspec.structs.replace(row, generation=generation, dup=version.dup)
                    repairs.append(Repair(row, why, held.count if held else None))
            if repairs:
                self._stored.give_out(repairs)
                self._publisher.rows(repair.row for repair in repairs)
        self._publisher.settle()
        self._done(doubt.minute, doubt.rows, causes)

    def _tell(self, why: str, key: PaneKey, held: Stored | None, count: int | None) -> None:
        meters.REPAIRS.labels(why).inc()
        tenant, device, metric, pane = key
        self._log.warning(
            "audit.repair" if count else "audit.unfounded",
            cause=why,
            tenant=tenant,
            device=device,
            metric=metric,
            pane=pane,
            stored=held.count if held else None,
            readings=count,
        )

    def _done(self, minute: int, rows: int, causes: Mapping[str, int]) -> None:
        self._stored.audited(minute, rows, causes)
        self._doubt = None
        self._next = minute + WIDTH_MS
        meters.AUDITED.inc()
        meters.AUDITED_TO.set(minute / 1_000)
        if time.monotonic() - self._forgot_at >= _FORGET_EVERY_S:
            self._stored.forget_the_outlived()
            self._forgot_at = time.monotonic()


def differences(stored: Mapping[PaneKey, Stored], raw: Mapping[PaneKey, Held]) -> set[PaneKey]:
    """The keys of which the two stores do not say the same. A row without a reading says nothing."""
    found = {key for key, held in raw.items() if not _same(stored.get(key), held)}
    return found | {key for key, row in stored.items() if row.count and key not in raw}


def cause(held: Stored | None, least: int, now: Held | None) -> str:
    """Why a row must be repaired, or "" if it need not be.

    `least` is how many readings the raw store had at the first look, `now` what it has after the row was read: a row
    that is right lies between the two.
    """
    count = held.count if held else 0
    if now is None:
        return "unfounded" if count else ""
    if count < least:
        return "fewer" if count else "missing"
    if count > now.count:
        return "more"
    return "changed" if count == now.count and not _same(held, now) else ""


def _same(row: Stored | None, held: Held) -> bool:
    """Equal counts, and sums that differ by no more than the order of their additions can make."""
    if row is None or row.count != held.count:
        return False
    # The sum of the sizes is at most this (Cauchy-Schwarz): where values cancel, the sum itself is no measure.
    sizes = math.sqrt(row.count * row.sum_sq)
    return abs(row.sum - held.sum) <= RELATIVE * max(sizes, abs(held.sum))
