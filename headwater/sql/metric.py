"""A metric as an analyst writes it: `sql/metrics/NAME.sql`, a query over `panes`, and `NAME.yml`, what it promises.

The query gives a row for each device and pane: `tenant, device, pane, value, n, generation, as_of, received`. A row
takes the place of the one before in every store unless its version (`generation`, `n`, `as_of`) is lower: `n` is how
many readings stand behind the value, `generation` and `as_of` are the greatest of what it is made of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import Template
from typing import Any, ClassVar

from headwater.model.pack import PANE_MS
from headwater.model.settings import JobSettings
from headwater.sql import tables
from headwater.sql.fields import Fields
from headwater.sql.query import TENANT, TYPES, Key, Query, Run, literal, only
from headwater.sql.session import Row

PANE_COLUMNS: dict[str, type] = {
    "tenant": str,
    "device": str,
    "metric": str,
    "pane": int,
    "generation": int,
    "count": int,
    "sum": float,
    "sum_sq": float,
    "min": float,
    "max": float,
    "first_ms": int,
    "last_ms": int,
    "last": float,
    "as_of": int,
    "received": int,
    "dup": int,
}
"""What a row that is given to a test may say; all but device, metric and pane have a default."""

COLUMNS: dict[str, type] = {
    "tenant": str,
    "device": str,
    "pane": int,
    "value": float,
    "n": int,
    "generation": int,
    "as_of": int,
    "received": int,
}
"""What a metric's query gives."""

MINI_BATCH_MS = 1_000
MOST_WINDOW_MS = 24 * 3_600_000
_NAME = re.compile(r"[a-z][a-z0-9_]{2,63}")


@dataclass(frozen=True, kw_only=True)
class Metric(Query):
    """One metric. `window_ms` is how far back a row looks beyond its own pane."""

    kind: ClassVar[str] = "metric"
    folder: ClassVar[str] = "sql/metrics"
    reads: ClassVar[str] = "panes"
    gives: ClassVar[tuple[str, ...]] = tuple(COLUMNS)
    rows: ClassVar[str] = "metric_rows"
    tells: ClassVar[str] = "value"

    unit: str
    window_ms: int = 0

    @classmethod
    def own(cls, fields: Fields) -> dict[str, Any]:
        """Unit, window, and rows of panes."""
        return {
            "unit": fields.text("unit"),
            "window_ms": fields.number("window_ms", 0, MOST_WINDOW_MS, default=0),
            "given": fields.rows("given", {"device", "metric", "pane"}, PANE_COLUMNS, _pane),
            "expected": fields.rows("expected", {"device", "pane", "value"}, COLUMNS, _pane),
        }

    def flaws(self) -> list[str]:
        """Its name, and what it is made of."""
        wrong = []
        if not _NAME.fullmatch(self.name):
            wrong.append(f"name: expected 3 to 64 of a-z, 0-9 and _, a letter first, got {self.name!r}")
        if self.name in self.inputs:
            wrong.append(f"inputs: expected other metrics, got {self.name} itself, which would be made of itself")
        return wrong

    @property
    def made_of(self) -> list[Any]:
        """The query, its inputs and its window."""
        return [self.query, sorted(self.inputs), self.window_ms]

    @property
    def looks_back_ms(self) -> int:
        """Its window."""
        return self.window_ms

    @property
    def options(self) -> dict[str, str]:
        """A pane is published once a second at most."""
        return {"table.exec.mini-batch.allow-latency": f"{MINI_BATCH_MS} ms"}

    def starts(self, run: Run, settings: JobSettings, now_ms: int) -> tuple[int, int]:  # noqa: ARG002  # as all kinds
        """From all on that the first rows, of the panes open now, look back on."""
        first = now_ms - settings.horizon_ms
        first_pane = first - first % PANE_MS
        # A row of a pane is written for the last time within the horizon after its end.
        return first_pane - self.window_ms - settings.ahead_ms, first_pane

    def source_statements(self, run: Run, settings: JobSettings) -> list[str]:
        """Rows of `processed-data`, which it reads and writes."""
        begin = tables.start(run.from_ms or None)
        return [
            tables.statement("analysis/panes_log", settings, begin, f"headwater-{run.job}"),
            tables.statement("sources/processed_data", settings, begin),
        ]

    def given_statements(self) -> list[str]:
        """`panes_log` as a view of the rows that are given."""
        rows = [given_row(row) for row in self.given]
        # Literals alone make one source, which keeps their order; with casts among them they would be a union of
        # sources.
        lines = [f"({', '.join(literal(row[name], kind) for name, kind in PANE_COLUMNS.items())})" for row in rows]
        casts = [f"cast(`{name}` as {TYPES[kind]}) as `{name}`" for name, kind in PANE_COLUMNS.items()]
        rows_text, named = ",\n".join(lines), ", ".join(f"`{name}`" for name in PANE_COLUMNS)
        return [
            f"create temporary view panes_log as\nselect {', '.join(casts)}\n"
            f"from (values\n{rows_text}\n) as given ({named})"
        ]

    def view_statements(self) -> list[str]:
        """Panes of its inputs alone, then its query."""
        return [
            Template(tables.text("analysis/panes")).substitute(only=only(self.inputs)),
            Template(tables.text("analysis/metric_rows")).substitute(query=self.query),
        ]

    def insert_statement(self, run: Run) -> str:
        """Onto `processed-data`."""
        given = {"metric": self.name, "revision": run.revision, "first_pane": run.first_pane}
        return Template(tables.text("analysis/metric_sink")).substitute(given)

    def held(self, rows: Iterable[Row], columns: list[str]) -> dict[Key, dict[str, Any]]:
        """One row counts unless its version is lower, and none is taken back."""
        kept: dict[Key, dict[str, Any]] = {}
        for row in rows:
            if row.kind not in ("INSERT", "UPDATE_AFTER"):
                continue
            one = dict(zip(columns, row.values, strict=True))
            if one["value"] is None or not one["n"]:
                continue
            before = kept.get(self.key(one))
            if before is None or _version(one) >= _version(before):
                kept[self.key(one)] = one
        return kept

    def key(self, row: Mapping[str, Any]) -> Key:
        """Tenant, device and pane."""
        return (str(row.get("tenant", TENANT)), str(row["device"]), int(row["pane"]))

    def named(self, key: Key) -> str:
        """Device and pane."""
        return f"{key[1]} at pane {key[2]}"


def _pane(row: dict[str, Any]) -> str | None:
    pane = row["pane"]
    if isinstance(pane, int) and pane % PANE_MS == 0:
        return None
    return f"expected a pane that is a multiple of {PANE_MS}, got {pane!r}"


def _version(row: Mapping[str, Any]) -> tuple[int, int, int]:
    return (row["generation"], row["n"], row["as_of"])


def given_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row of `panes` that a test is given, whole: what it does not say is as of readings of one value."""
    count = row.get("count", 1)
    total = float(row.get("sum", 0))
    mean = total / count if count else 0.0
    defaults = {
        "tenant": TENANT,
        "generation": 1,
        "count": count,
        "sum": total,
        "sum_sq": mean * mean * count,
        "min": mean,
        "max": mean,
        "first_ms": row["pane"],
        "last_ms": row["pane"],
        "last": mean,
        "as_of": row["pane"] + PANE_MS - 1,
        "received": 0,
        "dup": 0,
    }
    return {**defaults, **row}
