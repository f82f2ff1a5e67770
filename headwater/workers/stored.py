"""What the corrections worker asks PostgreSQL, and what it writes there: versions, counts, audits, repairs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, LiteralString, NamedTuple

import psycopg

from connectors.sinks.postgres import PostgresSink
from headwater.model.pack import Aggregate
from headwater.model.settings import CorrectionsSettings
from headwater.model.stores import AUDIT_CAUSES
from headwater.model.topics import PROCESSED, RAW
from headwater.raw.panes import PaneKey, PaneSpan

_OPTIONS = "-c timezone=UTC -c statement_timeout=120s"
_LOCK = "headwater corrections"


class Version(NamedTuple):
    """The generation that the next row of a pane carries at least, and the resent readings that were counted."""

    generation: int
    dup: int


class Stored(NamedTuple):
    """A row as PostgreSQL holds it."""

    # Hides tuple.count, which nobody calls on a row.
    count: int  # type: ignore[assignment]
    sum: float
    sum_sq: float


class Repair(NamedTuple):
    """A row to be published anew: why, and how many readings the stored one has (None: there is none)."""

    row: Aggregate
    cause: str
    before: int | None


class StoredRows:
    """One connection. Every call raises `psycopg.Error` while PostgreSQL is away; make a new one then."""

    def __init__(self, settings: CorrectionsSettings) -> None:
        self.generation = settings.generation
        """What every row that is published carries at least."""
        self._partitions = settings.partitions
        self._connection = psycopg.connect(
            settings.postgres.get_secret_value(),
            autocommit=True,
            connect_timeout=5,
            options=_OPTIONS,
            application_name="headwater-corrections",
            cursor_factory=psycopg.RawCursor,
            keepalives_idle=10,
        )

    def close(self) -> None:
        """Lets go of the connection, and with it of the lock."""
        self._connection.close()

    def only_one(self) -> bool:
        """True if this is the one worker at work; the lock is held for as long as the connection.

        Two that correct do no harm, but a repair that takes readings away must not be overtaken by a correction.
        """
        return bool(self._all("select pg_try_advisory_lock(hashtext($1))", [_LOCK])[0][0])

    def versions(self, spans: Sequence[PaneSpan], metrics: Collection[str]) -> dict[PaneKey, Version]:
        """Versions of the rows of `metrics` over `spans`: stored, held back by a rebuild, or given out by a repair."""
        if not spans:
            return {}
        columns = [list(column) for column in zip(*spans, strict=True)]
        bounds = [min(span.first for span in spans), max(span.end for span in spans)]
        found: dict[PaneKey, Version] = {}
        for tenant, device, metric, pane, generation, dup in self._all(
            _sql("versions"), [*columns, list(metrics), *bounds]
        ):
            key = (tenant, device, metric, pane)
            known = found.get(key, Version(self.generation, 0))
            found[key] = Version(max(generation, known.generation), max(dup, known.dup))
        return found

    def next_version(self, versions: Mapping[PaneKey, Version], key: PaneKey) -> Version:
        """What a recomputed row of `key` carries: what is stored, and at least `HEADWATER_GENERATION`."""
        return versions.get(key) or Version(self.generation, 0)

    def counts(self, first_ms: int, end_ms: int) -> dict[PaneKey, Stored]:
        """Every row whose pane starts in [`first_ms`, `end_ms`), epoch ms."""
        with self._connection.transaction():
            # A partition of today has no statistics yet, and the planner would walk all of it.
            self._connection.execute("set local enable_seqscan = off")
            found = self._all(_sql("counts"), [first_ms, end_ms])
        return {(row[0], row[1], row[2], row[6]): Stored(*row[3:6]) for row in found}

    def edge(self) -> int:
        """Start (epoch ms) of the oldest pane that has a place here."""
        found = self._all("select (extract(epoch from edge) * 1000)::bigint from level where level = '10s'")
        return int(found[0][0])

    def log_time(self) -> int | None:
        """Log time (epoch ms) up to which the rows of every partition have come here; None until each is known."""
        found: int | None = self._all(_sql("progress"), [RAW.name, self._partitions])[0][0]
        return found

    def sunk(self) -> dict[int, int]:
        """The next offset of `processed-data` that the sink will read, of each partition."""
        found = self._all(
            'select partition, "offset" from sink_offset where sink = $1 and topic = $2',
            [PostgresSink.name, PROCESSED.name],
        )
        return dict(found)

    def last_audited(self) -> int | None:
        """Start (epoch ms) of the newest minute that was audited; None if none ever was."""
        found: int | None = self._all("select (extract(epoch from max(minute)) * 1000)::bigint from pane_audit")[0][0]
        return found

    def give_out(self, repairs: Iterable[Repair]) -> None:
        """Remembers the generations of rows that are about to be published, in one transaction."""
        rows = [
            (*repair.row.key, repair.row.generation, repair.cause, repair.before, repair.row.count)
            for repair in sorted(repairs, key=lambda repair: repair.row.key)
        ]
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany(_sql("repair"), rows)

    def audited(self, minute: int, rows: int, causes: Mapping[str, int]) -> None:
        """Remembers that a minute (its start in epoch ms) is done, and how many rows differed, by cause."""
        self._connection.execute(_sql("audited"), [minute, rows, *(causes.get(name, 0) for name in AUDIT_CAUSES)])

    def forget_the_outlived(self) -> None:
        """Deletes audits and repairs of minutes whose rows retention has removed."""
        edge = "(select edge from level where level = '10s')"
        self._connection.execute(f"delete from pane_repair where pane < {edge}")  # noqa: S608  # a constant
        self._connection.execute(f"delete from pane_audit where minute < {edge}")  # noqa: S608  # a constant

    def _all(self, statement: LiteralString, given: Sequence[Any] = ()) -> list[Any]:
        return self._connection.execute(statement, given or None).fetchall()


@cache
def _sql(name: str) -> LiteralString:
    return (files("sql") / "stores" / "postgres" / "closed" / f"{name}.sql").read_text()
