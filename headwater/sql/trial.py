"""Tests a metric: given rows go through its query on real Flink, and what sinks would then hold is compared."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from string import Template
from typing import Any

from headwater.model.errors import BadRequest
from headwater.sql import tables
from headwater.sql.metric import COLUMNS, PANE_COLUMNS, Metric, expected_key, given_row
from headwater.sql.session import Row, Session
from udfs.registry import functions

Key = tuple[str, str, int]
_TYPES = {str: "string", int: "bigint", float: "double"}
_TOLERANCE = 1e-9


def view_statements(metric: Metric) -> list[str]:
    """The views over `panes_log` that a metric's rows come from: its inputs alone, then its query."""
    names = ", ".join(_literal(name) for name in metric.inputs)
    panes = Template(tables.text("analysis/panes")).substitute(only=f"and metric in ({names})")
    return [panes, Template(tables.text("analysis/metric_rows")).substitute(query=metric.query)]


def function_statements(metric: Metric) -> list[str]:
    """The functions of `udfs` that the query names: each session that has one starts a Python beside it."""
    return [
        f"create temporary system function {name} as 'udfs.flink.{name}' language python"
        for name in functions()
        if name in metric.query.lower()
    ]


def given_statement(metric: Metric) -> str:
    """`panes_log` as a view of the rows that are given, in their order."""
    rows = [given_row(row) for row in metric.given]
    # Literals alone make one source, which keeps their order; with casts among them they would be a union of sources.
    lines = [f"({', '.join(_value(row[name], kind) for name, kind in PANE_COLUMNS.items())})" for row in rows]
    casts = [f"cast(`{name}` as {_TYPES[kind]}) as `{name}`" for name, kind in PANE_COLUMNS.items()]
    rows_text, named = ",\n".join(lines), ", ".join(f"`{name}`" for name in PANE_COLUMNS)
    return (
        f"create temporary view panes_log as\nselect {', '.join(casts)}\n"
        f"from (values\n{rows_text}\n) as given ({named})"
    )


def _value(value: Any, kind: type) -> str:
    if kind is str:
        return _literal(str(value))
    return f"{float(value):.17e}" if kind is float else str(int(value))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def held(rows: Iterable[Row], columns: list[str]) -> dict[Key, dict[str, Any]]:
    """What a store holds after all rows: one counts unless its version is lower, and none is taken back."""
    kept: dict[Key, dict[str, Any]] = {}
    for row in rows:
        if row.kind not in ("INSERT", "UPDATE_AFTER"):
            continue
        one = dict(zip(columns, row.values, strict=True))
        if one["value"] is None or not one["n"]:
            continue
        key = (one["tenant"], one["device"], one["pane"])
        before = kept.get(key)
        if before is None or _version(one) >= _version(before):
            kept[key] = one
    return kept


def _version(row: Mapping[str, Any]) -> tuple[int, int, int]:
    return (row["generation"], row["n"], row["as_of"])


def differences(metric: Metric, found: Mapping[Key, Mapping[str, Any]]) -> list[str]:
    """A line for each row that is missing, extra, or says something else than what was expected; floats to 1e-9."""
    said = []
    expected = {expected_key(row): row for row in metric.expected}
    for key, row in expected.items():
        got = found.get(key)
        if got is None:
            said.append(f"{_named(key)}: expected value {row['value']}, got no row")
            continue
        for column, value in row.items():
            if not _same(value, got[column]):
                said.append(f"{_named(key)}: expected {column} {value}, got {got[column]}")
    for key in sorted(found.keys() - expected.keys()):
        said.append(f"{_named(key)}: expected no row, got value {found[key]['value']}")
    return said


def _same(expected: Any, got: Any) -> bool:
    if isinstance(expected, str) or isinstance(got, str) or got is None:
        return bool(expected == got)
    return math.isclose(expected, got, rel_tol=_TOLERANCE, abs_tol=1e-12)


def _named(key: Key) -> str:
    _, device, pane = key
    return f"{device} at pane {pane}"


def run(session: Session, metric: Metric) -> list[str]:
    """Runs the test of a metric in a fresh session; a line for each difference.

    Raises `BadRequest` with Flink's reason if the query is none.
    """
    for each in [*function_statements(metric), given_statement(metric), *view_statements(metric)]:
        try:
            session.run(each)
        except BadRequest as error:
            raise BadRequest(explained(metric, str(error))) from error
    answer = session.execute("select * from metric_rows")
    return differences(metric, held(answer.rows, answer.columns))


def explained(metric: Metric, said: str) -> str:
    """Flink's reason, with what a metric's query must give where a column of it is what is missing."""
    missing = [name for name in COLUMNS if f"Column '{name}' not found" in said]
    if missing:
        return f"{metric.name}.sql: expected the columns {', '.join(COLUMNS)}, {missing[0]} is missing"
    return f"{metric.name}.sql: {said}"
