"""Rows of a query on the terminal as they come: a table, or a line of JSON each."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from headwater.sql.session import Answer, Row

SIGNS = {"INSERT": "+", "UPDATE_AFTER": "~", "DELETE": "-"}
"""What a row does to the result: it comes, it takes the place of the one before, it goes."""

_WIDTHS = {"DOUBLE": 12, "BIGINT": 14, "VARCHAR": 14}
_MOST = 40


def cell(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value) if isinstance(value, str | int) else json.dumps(value)


def as_table(answer: Answer, write: Callable[[str], None], most: int | None) -> int:
    """Writes rows until there are no more or `most` have come; how many came."""
    widths = [
        min(_MOST, max(len(name), _WIDTHS.get(kind, 6)))
        for name, kind in zip(answer.columns, answer.types, strict=True)
    ]
    numbers = [kind in ("DOUBLE", "FLOAT", "INTEGER", "BIGINT", "DECIMAL") for kind in answer.types]

    def line(sign: str, cells: list[str]) -> str:
        padded = [
            one.rjust(width) if number else one.ljust(width)
            for one, width, number in zip(cells, widths, numbers, strict=True)
        ]
        return f"{sign} {'  '.join(padded)}".rstrip()

    write(line(" ", answer.columns))
    return _each(answer, most, lambda row: write(line(SIGNS[row.kind], [cell(value) for value in row.values])))


def as_json(answer: Answer, write: Callable[[str], None], most: int | None) -> int:
    """The same, an object a line; one that takes the place of another or goes says so in `$change`."""

    def line(row: Row) -> None:
        change = {} if row.kind == "INSERT" else {"$change": {"UPDATE_AFTER": "update", "DELETE": "delete"}[row.kind]}
        write(json.dumps({**dict(zip(answer.columns, row.values, strict=True)), **change}, ensure_ascii=False))

    return _each(answer, most, line)


def _each(answer: Answer, most: int | None, show: Callable[[Row], None]) -> int:
    count = 0
    if most == 0:
        return 0
    for row in answer.rows:
        if row.kind in SIGNS:  # what an update replaces needs no line of its own
            show(row)
            count += 1
            if count == most:
                break
    return count
