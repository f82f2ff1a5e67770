"""A pattern as an analyst writes it: `sql/patterns/NAME.sql`, a query with `match_recognize`, and `NAME.yml`.

The query is over `readings_in_order` and gives a row for each match: `tenant, device, metric, start, event_time,
log_time, value, level`. `start` is the event time of the first reading of a match; `event_time`, `log_time` and `value`
are of the last one, and `level` is what `value` was compared with (or null).

A match is an alert like any other: its job raises it, and `headwater.sql.closing` clears it, `clear_ms` of log time
later.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import Template
from typing import Any, ClassVar

from headwater.model.alert import pattern_rule
from headwater.model.rule import SEVERITIES
from headwater.model.settings import JobSettings
from headwater.model.topics import ALERTS
from headwater.sql import tables
from headwater.sql.fields import Check, Fields
from headwater.sql.query import TENANT, TYPES, Key, Query, Run, literal, only
from headwater.sql.session import Row

READING_COLUMNS: dict[str, type] = {
    "tenant": str,
    "device": str,
    "metric": str,
    "ts": int,
    "value": float,
    "log_time": int,
}
"""What a reading that is given to a test may say; without a log time it comes when it is measured, or with the last."""

MATCH_COLUMNS: dict[str, type] = {
    "tenant": str,
    "device": str,
    "metric": str,
    "start": int,
    "event_time": int,
    "log_time": int,
    "value": float,
    "level": float,
}
"""What a pattern's query gives."""

LEAST_CLEAR_MS = 1_000
MOST_CLEAR_MS = 7 * 24 * 3_600_000
_NAME = re.compile(r"[a-z][a-z0-9_-]{2,63}")
_MATCH = re.compile(r"\bmatch_recognize\b", re.I)
_WITHIN = re.compile(r"\)\s*within\s+interval\b", re.I)


@dataclass(frozen=True, kw_only=True)
class Pattern(Query):
    """One pattern. `clear_ms` of log time after a match its alert is cleared."""

    kind: ClassVar[str] = "pattern"
    folder: ClassVar[str] = "sql/patterns"
    reads: ClassVar[str] = "readings_in_order"
    gives: ClassVar[tuple[str, ...]] = tuple(MATCH_COLUMNS)
    rows: ClassVar[str] = "pattern_rows"
    tells: ClassVar[str] = "event_time"

    severity: str
    clear_ms: int

    @classmethod
    def own(cls, fields: Fields) -> dict[str, Any]:
        """Severity, how long an alert stands, and readings and matches."""
        needed = {"device", "metric", "start", "event_time"}
        return {
            "severity": fields.one_of("severity", SEVERITIES),
            "clear_ms": fields.number("clear_ms", LEAST_CLEAR_MS, MOST_CLEAR_MS),
            "given": fields.rows("given", {"device", "metric", "ts", "value"}, READING_COLUMNS, _in_log_order()),
            "expected": fields.rows("expected", needed, MATCH_COLUMNS, _whole),
        }

    def flaws(self) -> list[str]:
        """Its name, and what it would remember."""
        wrong = []
        if not _NAME.fullmatch(self.name):
            wrong.append(f"name: expected 3 to 64 of a-z, 0-9, - and _, a letter first, got {self.name!r}")
        matches, bounds = len(_MATCH.findall(self.query)), len(_WITHIN.findall(self.query))
        if not matches:
            wrong.append(f"{self.name}.sql: expected match_recognize over {self.reads}, got none")
        elif bounds < matches:
            wrong.append(
                f"{self.name}.sql: expected `within interval …` after each pattern (…), got {bounds} for {matches}: "
                "without it a match that never ends is remembered for ever"
            )
        if ALERTS.name in tables.words(self.query):
            wrong.append(f"{self.name}.sql: expected no alerts in it, got some: that is where its own matches go")
        return wrong

    @property
    def made_of(self) -> list[Any]:
        """The query, its inputs, and what its alerts say."""
        return [self.query, sorted(self.inputs), self.severity]

    @property
    def options(self) -> dict[str, str]:
        """Log time is as the log has it: beats of mini-batches, by the wall clock, would only delay it."""
        return {"table.exec.mini-batch.enabled": "false"}

    def starts(self, run: Run, settings: JobSettings, now_ms: int) -> tuple[int, int]:  # noqa: ARG002  # as all kinds
        """From when it was deployed: a job that has lost its state finds the same matches again."""
        return run.from_ms or now_ms, 0

    def source_statements(self, run: Run, settings: JobSettings) -> list[str]:
        """Readings of its inputs alone, and where alerts go."""
        begin, group = tables.start(run.from_ms or None), f"headwater-{run.job}"
        return [
            tables.statement("sources/raw_sensor_data", settings, begin, group),
            tables.statement("analysis/slices", settings, begin, group, only(self.inputs)),
            tables.statement("sources/alerts", settings, begin),
        ]

    def given_statements(self) -> list[str]:
        """`slices` of one reading each: a table that counts, since only a table has a watermark, and looks them up."""
        rows: list[dict[str, Any]] = []
        for row in self.given:
            log_time = _log_time(row, rows[-1]["log_time"] if rows else 0)
            rows.append({"tenant": TENANT, **row, "log_time": log_time})

        def picked(column: str) -> str:
            listed = ", ".join(literal(row[column], READING_COLUMNS[column]) for row in rows)
            return f"cast(array[{listed}][place] as {TYPES[READING_COLUMNS[column]]})"

        given = {column: picked(column) for column in READING_COLUMNS}
        return [Template(tables.text("analysis/given_slices")).substitute(given, count=len(rows))]

    def view_statements(self) -> list[str]:
        """Its readings in their order, and its matches."""
        return [
            tables.text("analysis/readings_in_order"),
            Template(tables.text("analysis/pattern_rows")).substitute(query=self.query),
        ]

    def insert_statement(self, run: Run) -> str:
        """Onto `alerts`."""
        given = {"rule": pattern_rule(self.name), "version": run.revision + 1, "severity": self.severity}
        return Template(tables.text("analysis/pattern_sink")).substitute(given)

    def held(self, rows: Iterable[Row], columns: list[str]) -> dict[Key, dict[str, Any]]:
        """Every match."""
        found = [dict(zip(columns, row.values, strict=True)) for row in rows]
        return {self.key(one): one for one in found}

    def key(self, row: Mapping[str, Any]) -> Key:
        """What the id of an alert is made from."""
        return (str(row.get("tenant", TENANT)), str(row["device"]), str(row["metric"]), int(row["start"]))

    def named(self, key: Key) -> str:
        """Device, metric and start."""
        return f"{key[1]}, {key[2]} from {key[3]}"


def _log_time(row: Mapping[str, Any], before: int) -> int:
    return int(row.get("log_time", max(int(row["ts"]), before)))


def _in_log_order() -> Check:
    before = 0

    def check(row: dict[str, Any]) -> str | None:
        nonlocal before
        if said := _whole(row):
            return said
        now = _log_time(row, before)
        if now < before:
            return f"expected a log_time not before that of the row before, got {now}"
        before = now
        return None

    return check


def _whole(row: dict[str, Any]) -> str | None:
    for column in ("ts", "start", "event_time", "log_time"):
        value = row.get(column, 0)
        if not isinstance(value, int) or value < 0:
            return f"expected epoch ms in {column}, got {value!r}"
    return None
