"""A metric as an analyst writes it: `sql/metrics/NAME.sql`, a query over `panes`, and `NAME.yml`, what it promises.

The query gives a row for each device and pane: `tenant, device, pane, value, n, generation, as_of, received`. A row
takes the place of the one before in every store unless its version (`generation`, `n`, `as_of`) is lower: `n` is how
many readings stand behind the value, `generation` and `as_of` are the greatest of what it is made of.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from headwater.model.errors import BadRequest, NotFound
from headwater.model.pack import PANE_MS
from headwater.model.settings import project_folder
from headwater.sql.split import statements

FOLDER = "sql/metrics"
COLUMNS = ("tenant", "device", "pane", "value", "n", "generation", "as_of", "received")
"""What a metric's query gives."""

PANE_COLUMNS = {
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

MOST_WINDOW_MS = 24 * 3_600_000
_NAME = re.compile(r"[a-z][a-z0-9_]{2,63}")
_TENANT = "test"


@dataclass(frozen=True)
class Metric:
    """One metric, checked. `window_ms` is how far back a row looks beyond its own pane."""

    name: str
    query: str
    description: str
    owner: str
    unit: str
    grain: str
    inputs: tuple[str, ...]
    window_ms: int = 0
    given: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    expected: tuple[dict[str, Any], ...] = field(default=(), repr=False)


def names() -> list[str]:
    """The metrics that there are files of."""
    return sorted(path.stem for path in (project_folder() / FOLDER).glob("*.sql"))


def load(name: str, folder: Path | None = None) -> Metric:
    """The metric of that name. Raises `NotFound` without its files, `BadRequest` with a line for each wrong field."""
    folder = folder or project_folder() / FOLDER
    query_file, promise_file = folder / f"{name}.sql", folder / f"{name}.yml"
    for path in (query_file, promise_file):
        if not path.is_file():
            known = ", ".join(sorted(one.stem for one in folder.glob("*.sql"))) or "none yet"
            raise NotFound(f"expected {path.name} in {FOLDER}/, where the metrics are: {known}")
    try:
        promise = yaml.safe_load(promise_file.read_text())
    except yaml.YAMLError as error:
        raise BadRequest(f"{name}.yml: expected YAML, {' '.join(str(error).split())}") from error
    return checked(name, query_file.read_text(), promise)


def checked(name: str, query: str, promise: Any) -> Metric:
    """The metric of these texts. Raises `BadRequest` with a line for each wrong field."""
    wrong: list[str] = []
    if not _NAME.fullmatch(name):
        wrong.append(f"name: expected 3 to 64 of a-z, 0-9 and _, a letter first, got {name!r}")
    whole, rest = statements(query)
    queries = [*whole, *([rest] if rest else [])]
    if len(queries) != 1 or not re.match(r"(select|with)\b", queries[0], re.I):
        wrong.append(f"{name}.sql: expected one select over panes, got {len(queries)} statements")
    if not isinstance(promise, dict):
        raise BadRequest("\n".join([*wrong, f"{name}.yml: expected fields such as description, got {promise!r}"]))
    fields = _Fields(promise, wrong)
    made = Metric(
        name=name,
        query=queries[0] if queries else "",
        description=fields.text("description"),
        owner=fields.text("owner"),
        unit=fields.text("unit"),
        grain=fields.text("grain"),
        inputs=tuple(fields.texts("inputs")),
        window_ms=fields.number("window_ms", 0, MOST_WINDOW_MS),
        given=tuple(fields.rows("given", {"device", "metric", "pane"}, PANE_COLUMNS)),
        expected=tuple(fields.rows("expected", {"device", "pane", "value"}, dict.fromkeys(COLUMNS))),
    )
    fields.no_others()
    if name in made.inputs:
        wrong.append(f"inputs: expected other metrics, got {name} itself, which would be made of itself")
    strangers = sorted({str(row["metric"]) for row in made.given if "metric" in row} - {*made.inputs})
    if strangers:
        wrong.append(f"given: expected rows of {', '.join(made.inputs)}, got {', '.join(strangers)}: name it in inputs")
    if wrong:
        raise BadRequest("\n".join(wrong))
    return made


class _Fields:
    """Takes fields out of a YAML mapping and notes what is wrong with each."""

    def __init__(self, promise: dict[Any, Any], wrong: list[str]) -> None:
        self._left, self._wrong = dict(promise), wrong

    def text(self, name: str) -> str:
        return str(self._take(name, "a text", lambda value: isinstance(value, str) and bool(value.strip()), ""))

    def texts(self, name: str) -> list[str]:
        def fits(value: Any) -> bool:
            return isinstance(value, list) and bool(value) and all(isinstance(one, str) and one for one in value)

        return list(self._take(name, "a list of names of metrics", fits, []))

    def number(self, name: str, least: int, most: int) -> int:
        self._left.setdefault(name, least)

        def fits(value: Any) -> bool:
            return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

        return int(self._take(name, f"a whole number from {least} to {most}", fits, least))

    def rows(self, name: str, needed: set[str], known: dict[str, Any]) -> list[dict[str, Any]]:
        def fits(value: Any) -> bool:
            return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)

        rows: list[dict[str, Any]] = self._take(name, "a list of rows", fits, [])
        for number, row in enumerate(rows, 1):
            if lacking := sorted(needed - row.keys()):
                self._wrong.append(f"{name}, row {number}: expected {', '.join(lacking)}, it has none")
            if strange := sorted(map(str, row.keys() - known.keys())):
                self._wrong.append(f"{name}, row {number}: expected columns of {', '.join(known)}, got {strange[0]}")
            pane = row.get("pane", 0)
            if not isinstance(pane, int) or pane % PANE_MS:
                self._wrong.append(
                    f"{name}, row {number}: expected a pane that is a multiple of {PANE_MS}, got {pane!r}"
                )
            for column, value in row.items():
                if column not in ("tenant", "device", "metric") and not _is_number(value):
                    self._wrong.append(f"{name}, row {number}: expected a number in {column}, got {value!r}")
        return rows

    def no_others(self) -> None:
        for name in self._left:
            self._wrong.append(f"{name}: not a field of a metric; is it spelled as the others are?")

    def _take(self, name: str, wanted: str, fits: Callable[[Any], bool], default: Any) -> Any:
        if name not in self._left:
            self._wrong.append(f"{name}: expected {wanted}, there is none")
            return default
        value = self._left.pop(name)
        if not fits(value):
            self._wrong.append(f"{name}: expected {wanted}, got {value!r}")
            return default
        return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def given_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row of `panes` that a test is given, whole: what it does not say is as of readings of one value."""
    count = row.get("count", 1)
    total = float(row.get("sum", 0))
    mean = total / count if count else 0.0
    defaults = {
        "tenant": _TENANT,
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


def expected_key(row: dict[str, Any]) -> tuple[str, str, int]:
    """(tenant, device, pane) of a row that a test expects."""
    return (str(row.get("tenant", _TENANT)), str(row["device"]), int(row["pane"]))
