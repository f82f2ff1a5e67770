"""Tests a query: given rows go through it on real Flink, and what a store would then hold is compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from headwater.clock import now_ms
from headwater.model.errors import BadRequest
from headwater.model.settings import JobSettings
from headwater.sql import tables
from headwater.sql.query import Key, Query
from headwater.sql.session import Session

_TOLERANCE = 1e-9


def run(session: Session, query: Query, settings: JobSettings) -> list[str]:
    """Runs the test of a query in a fresh session; a line for each difference.

    Other tables that it names are as they are now: the log holds nothing new, the registry no device of the test.
    Raises `BadRequest` with Flink's reason if the query is none.
    """
    given, views = query.given_statements(), query.view_statements()
    begin = tables.start(now_ms(), until_now=True)
    others = query.other_statements([*given, *views], settings, begin, "headwater-sql")
    for each in [*query.function_statements(), *given, *others, *views]:
        try:
            session.run(each)
        except BadRequest as error:
            raise BadRequest(query.explained(str(error))) from error
    try:
        answer = session.execute(f"select * from {query.rows}")  # noqa: S608  # our view
        found = query.held(answer.rows, answer.columns)
    except BadRequest as error:
        raise BadRequest(query.explained(str(error))) from error
    return differences(query, found)


def differences(query: Query, found: Mapping[Key, Mapping[str, Any]]) -> list[str]:
    """A line for each row that is missing, extra, or says something else than what was expected; floats to 1e-9."""
    said = []
    expected = {query.key(row): row for row in query.expected}
    for key, row in expected.items():
        got = found.get(key)
        if got is None:
            said.append(f"{query.named(key)}: expected {query.tells} {row[query.tells]}, got no row")
            continue
        for column, value in row.items():
            if not _same(value, got[column]):
                said.append(f"{query.named(key)}: expected {column} {value}, got {got[column]}")
    for key in sorted(found.keys() - expected.keys()):
        said.append(f"{query.named(key)}: expected no row, got {query.tells} {found[key][query.tells]}")
    return said


def _same(expected: Any, got: Any) -> bool:
    if isinstance(expected, str) or isinstance(got, str) or got is None:
        return bool(expected == got)
    return math.isclose(expected, got, rel_tol=_TOLERANCE, abs_tol=1e-12)
