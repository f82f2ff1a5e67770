"""The audit: reads the log, asks the stores, and says whether they agree.

Everything is counted from the log and the stores. What is judged is what the stores must already have: the log up to
the log time that both have reached. So a sink that is behind delays the audit and raises no false alarm. A row that
differs is asked again after everything on its way (corrections, and rows behind them) has arrived.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from headwater.model.errors import StackError
from headwater.model.pack import PANE_MS, PULSE_TENANT
from headwater.model.topics import CORRECTIONS, DEAD_LETTER, PROCESSED, RAW
from headwater.truth.balance import Fold, Minute, Pane, Scope, minute_of
from headwater.truth.gaps import Gap, Places, compare, gap_of
from headwater.truth.messages import Letters, Messages
from headwater.truth.report import Report
from headwater.truth.shares import EVERYTHING, Share, shares_of
from headwater.truth.span import Entry, Reader, Span
from headwater.truth.stores import RawRows, Rows

SLACK_MS = 1_000
"""Rows of other keys may be this much behind the beat that says how far the job is (a mini-batch)."""

MOST_RECORDS = 1_000_000
"""Of more records than this the devices are audited share by share; the log is read once more for each."""

BEHIND_MS = 5 * 60_000
"""A store that is further behind the log than this is not just busy."""

CORRECTIONS_GROUP = "headwater-corrections"
SINK = "sink-postgres"
_LETTERS_BEFORE_MS = 60_000


@dataclass(frozen=True)
class Wanted:
    """What to audit: log times (epoch ms; None: the last hour that the stores have), and how long to wait for them."""

    horizon_ms: int
    ahead_ms: int
    cap: int
    from_ms: int | None = None
    to_ms: int | None = None
    wait_s: float = 60.0
    settle_ms: int = 120_000
    prefix: str = ""


@dataclass
class Audit:
    """One audit. Raises `StackError` when Kafka is not there, psycopg's and ClickHouse's errors when they are not."""

    reader: Reader
    rows: Rows
    raw: RawRows
    wanted: Wanted
    most_records: int = MOST_RECORDS
    _scope: Scope = field(init=False)
    _span: Span = field(init=False)

    def run(self) -> Report:
        """Does it all; seconds for each million readings, and the log is read once more for each share."""
        begun = time.monotonic()
        topic = self.wanted.prefix + RAW.name
        true_ms, end = self._settled(topic)
        behind = self._is_behind(topic, true_ms)  # now: the log goes on while the audit reads
        self._scope, self._span = self._reach(topic, true_ms, end)
        scope, messages, letters = self._scope, Messages(self._scope), Letters(topic)
        minutes: dict[tuple[str, int], Minute] = defaultdict(Minute)
        gaps: list[Gap] = []
        waiting: list[Gap] = []
        unreadable = 0
        for number, share in enumerate(self._shares()):
            fold = Fold(scope, share)
            for entry in self._records():
                fold.take(entry)
                if number == 0:
                    messages.record(entry)
            if number == 0:
                self._read_letters(messages, letters)
            fold.given(self.raw.before(self._span, fold.old()))
            unlettered, nobodys = letters.gaps(fold.bad)
            wrong, late = self._named(self._row_gaps(fold), self._raw_gaps(fold))
            gaps += wrong + unlettered
            waiting += late
            unreadable += nobodys
            for place, minute in fold.minutes.items():
                minutes[place].add(minute)
        gaps += messages.gaps() + self._fleet_gaps()
        for gap in gaps:
            for one in gap.minutes:
                minutes[gap.tenant, one].gaps += 1
        return Report(
            state="gap" if gaps else "waiting" if waiting or behind else "balanced",
            from_ms=scope.from_ms,
            to_ms=scope.to_ms,
            true_ms=true_ms,
            minutes=dict(sorted(minutes.items())),
            gaps=gaps,
            waiting=waiting,
            messages=messages.whole,
            records=messages.records,
            letters=messages.letters,
            unmarked=messages.unmarked,
            unreadable=unreadable,
            seconds=time.monotonic() - begun,
            behind=behind,
        )

    def _records(self) -> Iterator[Entry]:
        """The log without its beats."""
        beats = f"{PULSE_TENANT}/".encode()
        return (entry for entry in self.reader.read(self._span) if not (entry.key or b"").startswith(beats))

    def _shares(self) -> list[Share]:
        if sum(end - self._span.first[one] for one, end in self._span.end.items()) <= self.most_records:
            return [EVERYTHING]
        # A key is `tenant/device`; one that is not makes shares less even, and nothing else.
        records = Counter((entry.key or b"").decode(errors="replace").partition("/")[2] for entry in self._records())
        return shares_of(records, self.most_records)

    def _settled(self, topic: str) -> tuple[int, dict[int, int]]:
        """Log time that both stores have reached, and the offsets before which they have everything; waits for `to`."""
        until = time.monotonic() + self.wanted.wait_s
        while True:
            partitions = self.reader.ends(topic)
            rows, raw = self.rows.true_up_to(topic), self.raw.stored(self.reader.log_id(topic))
            if set(partitions) <= rows.keys() and set(partitions) <= raw.keys():
                true_ms = min(rows[one] for one in partitions) - SLACK_MS
                true_ms = min(true_ms, *(raw[one][1] for one in partitions))
                if true_ms >= (self.wanted.to_ms or 0) - 1 or time.monotonic() > until:
                    end = self.reader.at(topic, true_ms + 1)
                    return true_ms, {one: min(end[one], raw[one][0]) for one in partitions}
            elif time.monotonic() > until:
                raise StackError(
                    f"The stores do not say yet how far they have come: of {len(partitions)} partitions the rows know "
                    f"{len(rows)}, the raw store {len(raw)}.",
                    "see `headwater status`; log time moves by the pulse, through the job and the sinks.",
                )
            time.sleep(0.5)

    def _reach(self, topic: str, true_ms: int, end: dict[int, int]) -> tuple[Scope, Span]:
        """What is judged, and what must be read for it."""
        wanted = self.wanted
        to_ms = min(true_ms + 1, wanted.to_ms if wanted.to_ms is not None else true_ms + 1)
        from_ms = wanted.from_ms if wanted.from_ms is not None else to_ms - 3_600_000
        known_ms = from_ms - PANE_MS - wanted.horizon_ms - wanted.ahead_ms - Scope.skew_ms
        ends = self.reader.ends(topic)
        first = self.reader.at(topic, known_ms)
        span = Span(topic, self.reader.log_id(topic), first, {one: max(end[one], first[one]) for one in end})
        # Where the log begins later (retention, or a young log), less is known from it alone.
        begins = [entry.log_time for entry in self._oldest(span, ends)]
        scope = Scope(
            from_ms=from_ms,
            to_ms=to_ms,
            known_ms=max([known_ms, *begins]),
            true_ms=true_ms,
            horizon_ms=wanted.horizon_ms,
            ahead_ms=wanted.ahead_ms,
            cap=wanted.cap,
            rows_edge_ms=self.rows.edge(),
            raw_edge_ms=self.raw.edge(),
            settle_ms=wanted.settle_ms,
        )
        return scope, span

    def _oldest(self, span: Span, ends: dict[int, tuple[int, int]]) -> Iterable[Entry]:
        cut = {one: low for one, (low, high) in ends.items() if span.first[one] == low < high}
        return self.reader.read(Span(span.topic, span.log_id, cut, {one: low + 1 for one, low in cut.items()}))

    def _read_letters(self, messages: Messages, letters: Letters) -> None:
        name = self.wanted.prefix + DEAD_LETTER.name
        for entry in self.reader.read(self.reader.span(name, self._scope.from_ms - _LETTERS_BEFORE_MS)):
            messages.letter(entry)
            letters.letter(entry)

    def _row_gaps(self, fold: Fold) -> list[Gap]:
        """Rows that differ, after everything on its way has arrived; the log goes on meanwhile, and is read on."""
        found = self._differing(fold)
        before = None
        while found and before != found:
            before = found
            self._wait_for_what_is_on_its_way()
            _, end = self._settled(self._span.topic)
            tail = Span(self._span.topic, self._span.log_id, self._span.end, end)
            for entry in self.reader.read(Span(tail.topic, tail.log_id, tail.first, _no_less(tail))):
                fold.take(entry)
            fold.given(())
            self._span = Span(tail.topic, tail.log_id, self._span.first, _no_less(tail))
            found = self._differing(fold, {(gap.tenant, gap.device, gap.pane) for gap in found})
        return found

    def _differing(self, fold: Fold, among: set[Pane] | None = None) -> list[Gap]:
        """Rows whose counts differ, and rows that no reading stands behind."""
        scope = self._scope
        expected = {key: count for key, count in fold.rows() if among is None or _pane(key) in among}
        if among is None:
            near = [key[3] for key in expected if scope.near(key[3])]
            held = self.rows.between(min([scope.from_ms, *near]), scope.true_ms, fold.share)
            held |= self.rows.of({_pane(key) for key in expected if not scope.near(key[3])})
        else:
            held = self.rows.of(among)
        gaps = compare(expected.items(), held, "aggregates")
        gaps += [
            gap_of("aggregates", key, 0, count)
            for key, count in held.items()
            if count and key not in expected and key[3] >= scope.from_ms and scope.final(key[3]) and not fold.knows(key)
        ]
        return sorted(gaps, key=lambda gap: (gap.pane, gap.tenant, gap.device, gap.metric))

    def _wait_for_what_is_on_its_way(self) -> None:
        """Until the corrections of this moment are done and the rows of that moment are stored, or time is up."""
        until = time.monotonic() + self.wanted.wait_s
        name = self.wanted.prefix + CORRECTIONS.name
        wanted = self._ends(name)
        while not self._done(name, wanted) and time.monotonic() < until:
            time.sleep(0.5)
        name = self.wanted.prefix + PROCESSED.name
        wanted = self._ends(name)
        while not _passed(self.rows.read_up_to(name, SINK), wanted) and time.monotonic() < until:
            time.sleep(0.5)

    def _ends(self, topic: str) -> dict[int, int]:
        return {one: high for one, (low, high) in self.reader.ends(topic).items() if high > low}

    def _done(self, topic: str, wanted: dict[int, int]) -> bool:
        return _passed(self.reader.committed(CORRECTIONS_GROUP, topic), wanted)

    def _raw_gaps(self, fold: Fold) -> list[Gap]:
        """Readings that the raw store lacks or has too many; what came after the span's end is left out by it."""
        scope, span = self._scope, self._span
        expected = dict(fold.readings())
        near = [key[4] for key in expected if scope.near(key[4])]
        held = self.raw.between(span, min(near), max(near) + PANE_MS, fold.share) if near else {}
        held |= self.raw.of(span, {(key[0], key[1], key[4]) for key in expected if not scope.near(key[4])})
        return compare(expected.items(), held, "raw")

    def _fleet_gaps(self) -> list[Gap]:
        """Closed rows of sites and models that are not of the readings of their members, as the raw store has them.

        A row is right if it counts what was there at the first look, at least, and what is there at the second at most.
        """
        scope, partitions = self._scope, len(self._span.first)
        known = self.raw.places_known(partitions)
        first = -(-max(scope.from_ms, scope.rows_edge_ms, scope.raw_edge_ms) // PANE_MS) * PANE_MS
        closed = min(scope.true_ms, known) - PANE_MS - scope.horizon_ms - scope.settle_ms
        end = closed // PANE_MS * PANE_MS
        if first >= end:
            return []
        before, held = self.raw.fleets(first, end, known), self.rows.fleets(first, end)
        differ = {key for key in before.keys() | held.keys() if before.get(key, 0) != held.get(key, 0)}
        if not differ:
            return []
        self._wait_for_what_is_on_its_way()
        held = self.rows.fleets(first, end)
        after = self.raw.fleets(first, end, self.raw.places_known(partitions))
        wrong = [key for key in sorted(differ) if not before.get(key, 0) <= held.get(key, 0) <= after.get(key, 0)]
        gaps = [gap_of("fleets", key, after.get(key, 0), held.get(key, 0)) for key in wrong]
        for gap in gaps:
            gap.minutes = [minute_of(gap.pane)]
        return gaps

    def _named(self, rows: list[Gap], raw: list[Gap]) -> tuple[list[Gap], list[Gap]]:
        """(gaps, what still waits for its correction), with the places that the log has them at."""
        if not rows and not raw:
            return [], []
        places = Places([*rows, *raw], self._scope)
        for entry in self.reader.read(self._span):
            places.take(entry)
        held = self.raw.held({(gap.tenant, gap.device, gap.pane) for gap in raw})
        named = [places.name(gap) for gap in rows]
        corrections = self.wanted.prefix + CORRECTIONS.name
        done = self._done(corrections, self._ends(corrections))
        waiting = [gap for gap in named if gap.late and not done]
        gaps = [gap for gap in named if not gap.late or done]
        for gap in raw:
            key = (gap.tenant, gap.device, gap.metric, gap.kind, gap.pane)
            gaps.append(places.name(gap, held.get(key, set())))
        return gaps, waiting

    def _is_behind(self, topic: str, true_ms: int) -> bool:
        """Whether the log has records that are much newer than what the stores have."""
        # The ends first: what is appended meanwhile must not look like something that the stores lack.
        ends = self.reader.ends(topic)
        newer = self.reader.at(topic, true_ms + BEHIND_MS)
        return any(newer[one] < high for one, (_, high) in ends.items())


def _pane(key: tuple[str, str, str, int]) -> Pane:
    return key[0], key[1], key[3]


def _no_less(span: Span) -> dict[int, int]:
    return {one: max(end, span.first[one]) for one, end in span.end.items()}


def _passed(have: dict[int, int], wanted: dict[int, int]) -> bool:
    return all(have.get(partition, -1) >= end for partition, end in wanted.items())
