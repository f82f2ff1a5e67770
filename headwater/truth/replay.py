"""A range of the log once more through the same job, into topics and a table of its own; what differs is listed.

Panes at the edges of the range cannot be compared: their readings lie in part outside. So the job begins earlier than
the range, by what a pane may take in before and after it (horizon, pane, clocks), and only those panes are compared
that start in the range and are closed within it. What the job names on `corrections` is folded from the log itself.
Rows of sites and models are left out: what the registry said may have left the log, and `headwater audit` holds them to
the readings of their members. The job works on packs of one metric set at a time, so it counts a reading that was sent
in two sets twice; live, the audit at the close has repaired such rows, and here they are folded from the log too, and
counted as repaired.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import islice
from typing import Any, LiteralString, NamedTuple

import msgspec
import psycopg
from psycopg import sql

from connectors.sinks.base import newer
from headwater.model.codec import decode
from headwater.model.errors import BadRecord, BadRequest, StackError
from headwater.model.fleet import is_fleet
from headwater.model.pack import PANE_MS, PULSE_TENANT, Aggregate, Correction, Pack
from headwater.model.topics import CORRECTIONS, DEAD_LETTER, PROCESSED, RAW
from headwater.truth.logfile import drop_topics, make_topic
from headwater.truth.reference import Expected, Key, Record, Reference
from headwater.truth.span import Reader, Span
from headwater.truth.stores import Rows

OWN = (PROCESSED, CORRECTIONS, DEAD_LETTER)
"""Topics that a replay makes for itself."""

_COLUMNS = ("tenant", "device", "metric", "pane", "generation", *Expected._fields, "as_of")
_EVER_MS = 10**15
_FEW = 20_000
_PREFIX = re.compile(r"[a-z0-9][a-z0-9-]{0,30}-")


@dataclass(frozen=True)
class Wanted:
    """What to play: log times (epoch ms), into topics of which prefix, and of which log (its prefix)."""

    from_ms: int
    to_ms: int
    into: str
    horizon_ms: int
    ahead_ms: int
    of: str = ""
    wait_s: float = 60.0

    @property
    def read_ms(self) -> int:
        """Where the job begins."""
        return self.from_ms - self.horizon_ms - PANE_MS - self.ahead_ms

    @property
    def panes(self) -> tuple[int, int]:
        """Panes that start in [first, end) are compared."""
        return -(-self.from_ms // PANE_MS) * PANE_MS, self.to_ms - PANE_MS - self.horizon_ms


class Difference(NamedTuple):
    """A row that is missing in the live store, extra in it, or different. Rows as text: count, sum, min, max, …"""

    verdict: str
    key: Key
    live: str
    again: str


@dataclass
class Report:
    """What was found. `moved_on` are rows that took in something after the range: not compared."""

    records: int = 0
    rows: int = 0
    same: int = 0
    corrections: int = 0
    repaired: int = 0
    moved_on: int = 0
    differences: list[Difference] = field(default_factory=list)
    seconds: float = 0.0


Run = Callable[[str, Span], None]
"""Runs the job over a span of the log, into topics of a prefix, to its end."""


class Replay:
    """One replay; `close` takes away what it has made, also when it was broken off."""

    def __init__(self, kafka: str, reader: Reader, connection: psycopg.Connection[Any], wanted: Wanted) -> None:
        if not _PREFIX.fullmatch(wanted.into):
            raise BadRequest(
                f"expected a prefix of small letters and digits that ends in -, got {wanted.into!r}", "into"
            )
        if wanted.panes[0] >= wanted.panes[1]:
            raise BadRequest(
                f"expected a range longer than pane and horizon ({(PANE_MS + wanted.horizon_ms) // 1000} s): "
                "no pane would be whole in it",
                "from",
            )
        self._kafka, self._reader, self._connection, self._wanted = kafka, reader, connection, wanted
        self._schema = sql.Identifier(f"replay_{wanted.into.rstrip('-').replace('-', '_')}")

    def run(self, job: Run) -> Report:
        """Plays and compares. Raises `StackError` if the live rows are not there yet, or the job fails."""
        begun, wanted, report = time.monotonic(), self._wanted, Report()
        self._wait_for_live_rows()
        span = self._reader.span(wanted.of + RAW.name, wanted.read_ms, wanted.to_ms)
        report.records = span.records
        self._prepare()
        job(wanted.into, span)
        report.rows = self._store(self._published())
        late = set(self._late())
        report.corrections = len(late)
        self._store(row for row, _ in self._folded(span, late))
        different = {one.key for one in self._compare().differences}
        doubled = [row for row, sets in self._folded(span, different) if sets > 1]
        report.repaired = len(doubled)
        self._store(msgspec.structs.replace(row, generation=row.generation + 1) for row in doubled)
        found = self._compare()
        report.same, report.moved_on, report.differences = found.same, found.moved_on, found.differences
        report.seconds = time.monotonic() - begun
        return report

    def close(self) -> None:
        """Deletes topics and table."""
        drop_topics(self._kafka, [self._wanted.into + topic.name for topic in OWN])
        self._connection.execute(sql.SQL("drop schema if exists {} cascade").format(self._schema))

    def _prepare(self) -> None:
        """Topics and table. The schema is made first and dropped last: it says whose the topics are."""
        into = self._wanted.into
        name = self._schema.as_string(None).strip('"')
        if self._connection.execute("select 1 from pg_namespace where nspname = %s", (name,)).fetchone():
            self.close()  # what a killed replay has left
        self._connection.execute(sql.SQL("create schema {}").format(self._schema))
        self._connection.execute(sql.SQL("set search_path to {}, public").format(self._schema))
        for statement in _sql("create").split(";"):
            if statement.strip():
                self._connection.execute(statement)
        partitions = len(self._reader.ends(self._wanted.of + RAW.name))
        for topic in OWN:
            make_topic(self._kafka, into + topic.name, topic, topic.partitions or partitions)

    def _wait_for_live_rows(self) -> None:
        until = time.monotonic() + self._wanted.wait_s
        rows, partitions = Rows(self._connection), self._reader.ends(self._wanted.of + RAW.name)
        while True:
            reached = rows.true_up_to(RAW.name)
            least = min((reached.get(one, 0) for one in partitions), default=0)
            if least >= self._wanted.to_ms:
                return
            if time.monotonic() > until:
                raise StackError(
                    f"The live rows have come to log time {least}, expected {self._wanted.to_ms}.",
                    "choose an earlier --to, or see `headwater status`.",
                )
            time.sleep(0.5)

    def _published(self) -> Iterator[Aggregate]:
        for entry in self._reader.read(self._reader.span(self._wanted.into + PROCESSED.name)):
            if entry.value is not None:
                row = decode(Aggregate, entry.value)
                if row.tenant != PULSE_TENANT and not is_fleet(row.device):
                    yield row

    def _late(self) -> Iterator[Key]:
        for entry in self._reader.read(self._reader.span(self._wanted.into + CORRECTIONS.name)):
            one = decode(Correction, entry.value or b"")
            for metric in one.metrics:
                yield one.tenant, one.device, metric, one.pane

    def _folded(self, span: Span, keys: set[Key]) -> Iterator[tuple[Aggregate, int]]:
        """The rows of some keys by the plain reference, and how many metric sets brought their readings."""
        if not keys:
            return
        reference, sets = Reference(_EVER_MS), dict[Key, set[tuple[str, ...]]]()
        panes = {(tenant, device, pane) for tenant, device, _, pane in keys}
        for entry in self._reader.read(span):
            try:
                pack = decode(Pack, entry.value or b"")
            except BadRecord:
                continue
            if (pack.tenant, pack.device, pack.pane) in panes:
                reference.take(Record(pack, entry.partition, entry.offset, entry.log_time))
                for metric in pack.metrics:
                    key = (pack.tenant, pack.device, metric, pack.pane)
                    sets.setdefault(key, set()).add(tuple(pack.metrics))
        for key in sorted(keys & reference.series.keys()):
            yield reference.row(key), len(sets[key])

    def _store(self, rows: Iterable[Aggregate]) -> int:
        """Into the own table, by version; returns how many came."""
        left, count, apply = iter(rows), 0, _sql("apply")
        while few := list(islice(left, _FEW)):
            count += len(few)
            newest: dict[Key, Aggregate] = {}
            for row in few:
                held = newest.get(row.key)
                if held is None or newer(row, held):
                    newest[row.key] = row
            with self._connection.transaction():
                self._connection.execute("truncate replay_stage")
                with self._connection.cursor().copy("copy replay_stage from stdin") as copy:
                    for row in newest.values():
                        copy.write_row([getattr(row, name) for name in _COLUMNS])
                self._connection.execute(apply)
        return count

    def _compare(self) -> Report:
        report = Report()
        given = (*self._wanted.panes, self._wanted.to_ms)
        for verdict, *key, moved_on, live, again in _raw(self._connection, "compare", given):
            tenant, device, metric, pane = key
            if verdict == "same":
                report.same = pane
            elif moved_on:
                report.moved_on += 1
            else:
                report.differences.append(Difference(verdict, (tenant, device, metric, pane), live, again))
        report.differences.sort(key=lambda one: (one.key[3], one.key))
        return report


def _sql(name: str) -> LiteralString:
    return (files("sql") / "stores" / "postgres" / "replay" / f"{name}.sql").read_text()


def _raw(connection: psycopg.Connection[Any], name: str, given: tuple[Any, ...]) -> psycopg.RawCursor[Any]:
    """A statement whose parameters are named as PostgreSQL does."""
    return psycopg.RawCursor(connection).execute(_sql(name), given)
