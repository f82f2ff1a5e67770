"""The balance of the log: what the stores must hold, found again from the log by reading it. No clock, no I/O.

The identity of a reading is (tenant, device, metric, ts), with the kind for what is not a number; the first in the log
counts, and every further copy is a duplicate. Readings are counted by the minute of log time in which they were
appended; a store is compared by pane, since that is how it is asked, and a gap is brought back to its minutes.

A pane can only be judged if all that may belong to it is known. A record takes part from `ahead` before its pane
starts; so panes that start later than the beginning of what was read, plus `ahead`, are known from the log alone
(`near`). Of older panes, which late packs touch, the identities that lie before the reading are given (`given`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from headwater.model.codec import decode
from headwater.model.errors import BadRecord
from headwater.model.pack import LARGEST, PANE_MS, PULSE_TENANT, Pack
from headwater.truth.shares import EVERYTHING, Share
from headwater.truth.span import Entry

MINUTE_MS = 60_000
NUMBER, TEXT, FLAG = 0, 1, 2
"""Kinds of readings, as the raw store numbers them."""

Equal = TypeVar("Equal")
Pane = tuple[str, str, int]
"""(tenant, device, start of the pane)."""
Name = tuple[int, str]
"""(kind, metric)."""
Names = tuple[Name, ...]
Key = tuple[str, str, str, int]
"""(tenant, device, metric, start of the pane): a row."""
RawKey = tuple[str, str, str, int, int]
"""(tenant, device, metric, kind, start of the pane)."""


@dataclass(frozen=True)
class Scope:
    """What is judged; all times are epoch ms.

    Records appended in [`from_ms`, `to_ms`) are. The log was read from `known_ms` on; the stores are true up to
    `true_ms` of log time. Rows before `rows_edge_ms` and readings before `raw_edge_ms` (event time) retention has
    removed. `skew_ms` is how far the clocks of doors and Kafka may differ, `settle_ms` how long after its close a pane
    may still be repaired by the audit at the close.
    """

    from_ms: int
    to_ms: int
    known_ms: int
    true_ms: int
    horizon_ms: int
    ahead_ms: int
    cap: int
    rows_edge_ms: int = 0
    raw_edge_ms: int = 0
    skew_ms: int = 5_000
    settle_ms: int = 120_000

    def judged(self, log_time: int) -> bool:
        """Whether a record of that log time is."""
        return self.from_ms <= log_time < self.to_ms

    def near(self, pane: int) -> bool:
        """Whether all readings of the pane lie in what was read."""
        return pane - self.ahead_ms - self.skew_ms >= self.known_ms

    def final(self, pane: int) -> bool:
        """Whether the pane is closed in the stores, so that nothing but late readings still changes its rows."""
        return pane + PANE_MS + self.horizon_ms + self.settle_ms < self.true_ms


@dataclass
class Minute:
    """One tenant in one minute of log time. Readings of text and flags are `others`: no row counts them."""

    records: int = 0
    readings: int = 0
    duplicates: int = 0
    others: int = 0
    other_duplicates: int = 0
    open: int = 0
    """Readings whose pane may still change: not judged in the rows."""
    outlived: int = 0
    """Readings whose row retention has removed."""
    bad: int = 0
    """Records that break the form of a pack."""
    gaps: int = 0
    """Rows, readings and messages that do not balance."""

    def add(self, other: Minute) -> None:
        """Adds what another share of the devices had in the same minute."""
        for name, figure in vars(other).items():
            setattr(self, name, getattr(self, name) + figure)


class Deferred(NamedTuple):
    """A pack of a pane that is older than what was read."""

    partition: int
    offset: int
    log_time: int
    pack: Pack


def flaw(pack: Pack, cap: int) -> str:
    """What the job and the raw store refuse in a pack; empty if nothing. As in `sql/views/packs.sql`."""
    at = pack.at
    if pack.pane < 0 or pack.pane % PANE_MS:
        return "pane"
    if not at or len(at) > cap or at[0] < 0 or at[-1] >= PANE_MS or any(map(int.__ge__, at, at[1:])):
        return "at"
    if not (pack.metrics or pack.texts or pack.flags):
        return "metrics"
    for values in pack.metrics.values():
        if len(values) != len(at) or not all(-LARGEST < value < LARGEST for value in values):
            return "metrics"
    return ""


def names_of(pack: Pack) -> Names:
    """The series that a pack has values of."""
    if not pack.texts and not pack.flags:
        return tuple((NUMBER, name) for name in pack.metrics)
    return (
        *((NUMBER, name) for name in pack.metrics),
        *((TEXT, name) for name in pack.texts),
        *((FLAG, name) for name in pack.flags),
    )


@dataclass
class Fold:
    """Takes the log in, each partition in its order, and counts the packs of a share of the devices.

    Records that are no pack are of the first share. Memory is proportional to the readings that were counted.
    """

    scope: Scope
    share: Share = EVERYTHING
    minutes: dict[tuple[str, int], Minute] = field(default_factory=lambda: defaultdict(Minute))
    panes: dict[Pane, dict[Names, Set[int]]] = field(default_factory=dict)
    """Offsets of the stamps that are known of each pane, by the series that came together."""
    touched: set[Pane] = field(default_factory=set)
    """Panes of which a judged record holds readings."""
    deferred: list[Deferred] = field(default_factory=list)
    bad: list[Entry] = field(default_factory=list)
    _same: dict[Any, Any] = field(default_factory=dict)
    """One object for all that are equal: devices send the same metrics at the same offsets again and again."""

    def take(self, entry: Entry) -> None:
        """Takes one record in."""
        try:
            pack = decode(Pack, entry.value or b"")
        except BadRecord:
            pack = None
        if pack is not None and (pack.tenant == PULSE_TENANT or not self.share.has(pack.device)):
            return
        if pack is None or flaw(pack, self.scope.cap):
            if self.scope.judged(entry.log_time) and (pack is not None or not self.share.first):
                tenant = (entry.key or b"").split(b"/")[0].decode(errors="replace")
                self.minutes[tenant, minute_of(entry.log_time)].bad += 1
                self.bad.append(entry)
            return
        pane = (self._one(pack.tenant), self._one(pack.device), pack.pane)
        if self.scope.judged(entry.log_time):
            self.minutes[pack.tenant, minute_of(entry.log_time)].records += 1
            self.touched.add(pane)
        if self.scope.near(pack.pane):
            self._count(entry.log_time, pack, pane)
        else:
            self.deferred.append(Deferred(entry.partition, entry.offset, entry.log_time, pack))

    def old(self) -> set[Pane]:
        """Panes that are judged, and are not known from what was read alone."""
        return {pane for pane in self.touched if not self.scope.near(pane[2])}

    def given(self, identities: Iterable[tuple[Pane, Name, int]]) -> None:
        """Takes in what old panes held before the reading began, (pane, series, ts), and counts what was deferred."""
        old = self.old()
        for pane, name, ts in identities:
            _add(self.panes.setdefault(pane, {}), (name,), (ts - pane[2],))
        for one in self.deferred:
            pane = (one.pack.tenant, one.pack.device, one.pack.pane)
            if pane in old:
                self._count(one.log_time, one.pack, pane)
        self.deferred.clear()

    def _one(self, thing: Equal) -> Equal:
        same: Equal = self._same.setdefault(thing, thing)
        return same

    def _count(self, log_time: int, pack: Pack, pane: Pane) -> None:
        sets = self.panes.setdefault(pane, {})
        names, stamps = self._one(names_of(pack)), len(pack.at)
        known = sets.get(names)
        if not sets:
            sets[names] = self._one(frozenset(pack.at))
            fresh = dict.fromkeys(names, stamps)
        elif known is not None and len(sets) == 1:
            before = len(known)
            _add(sets, names, pack.at)
            fresh = dict.fromkeys(names, len(sets[names]) - before)
        else:
            at = set(pack.at)
            fresh = {name: len(at - stamps_of(sets, name)) for name in names}
            _add(sets, names, at)
        if not self.scope.judged(log_time):
            return
        minute = self.minutes[pack.tenant, minute_of(log_time)]
        numbers = len(pack.metrics)
        first = sum(count for (kind, _), count in fresh.items() if kind == NUMBER)
        minute.readings += stamps * numbers
        minute.duplicates += stamps * numbers - first
        minute.others += stamps * (len(names) - numbers)
        minute.other_duplicates += stamps * (len(names) - numbers) - (sum(fresh.values()) - first)
        if pack.pane < self.scope.rows_edge_ms:
            minute.outlived += first
        elif not self.scope.final(pack.pane):
            minute.open += first

    def rows(self) -> Iterator[tuple[Key, int]]:
        """The rows that must be in the store, with their counts: closed, and not removed by retention."""
        for (tenant, device, pane), sets in self._judged():
            if self.scope.final(pane) and pane >= self.scope.rows_edge_ms:
                for (kind, metric), count in _counts(sets).items():
                    if kind == NUMBER:
                        yield (tenant, device, metric, pane), count

    def readings(self) -> Iterator[tuple[RawKey, int]]:
        """How many readings of each series and pane must be in the raw store."""
        for (tenant, device, pane), sets in self._judged():
            if pane >= self.scope.raw_edge_ms:
                for (kind, metric), count in _counts(sets).items():
                    yield (tenant, device, metric, kind, pane), count

    def _judged(self) -> Iterator[tuple[Pane, dict[Names, Set[int]]]]:
        return ((pane, self.panes[pane]) for pane in self.touched if pane in self.panes)

    def knows(self, key: Key) -> bool:
        """False for a row of a pane of which everything was read, and in which nothing like it was."""
        tenant, device, metric, pane = key
        return not self.scope.near(pane) or bool(
            stamps_of(self.panes.get((tenant, device, pane), {}), (NUMBER, metric))
        )


def _add(sets: dict[Names, Set[int]], names: Names, at: Iterable[int]) -> None:
    """Adds offsets to those of a pane. What a first pack brought may be shared with other panes, and is copied then."""
    known = sets.get(names, ())
    grown = known if isinstance(known, set) else set(known)
    grown.update(at)
    sets[names] = grown


def stamps_of(sets: Mapping[Names, Set[int]], name: Name) -> set[int]:
    """Every offset at which a series has a reading in a pane."""
    return set().union(*(stamps for names, stamps in sets.items() if name in names))


def _counts(sets: dict[Names, Set[int]]) -> dict[Name, int]:
    if len(sets) == 1:
        [(names, stamps)] = sets.items()
        return dict.fromkeys(names, len(stamps))
    return {name: len(stamps_of(sets, name)) for name in {name for names in sets for name in names}}


def minute_of(log_time: int) -> int:
    """The minute that a moment (epoch ms) lies in."""
    return log_time - log_time % MINUTE_MS
