"""A query of an analyst and what it promises, as two files: what metrics and patterns have in common.

`NAME.sql` is one select over one view, `NAME.yml` says what it gives, whose it is, and rows given and expected.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import yaml

from headwater.model.errors import BadRequest, NotFound
from headwater.model.settings import JobSettings, project_folder
from headwater.sql import tables
from headwater.sql.fields import Fields
from headwater.sql.session import Row
from headwater.sql.split import statements
from headwater.sql.tables import Start

Key = tuple[Any, ...]
"""What a row is known by: tenant and device, and what else a kind of query says."""

TENANT = "test"
"""Of rows in a test that name no tenant."""

_MADE = re.compile(r"^create temporary (?:table|view) (\w+)", re.M)

TYPES = {str: "string", int: "bigint", float: "double"}


@dataclass(frozen=True)
class Run:
    """What the job of a query is told: its name, where it reads the log from, and what its rows are marked with.

    See `headwater.sql.deployed.Deployed`; times in UTC epoch ms.
    """

    job: str
    revision: int
    from_ms: int
    first_pane: int


@dataclass(frozen=True, kw_only=True)
class Query(ABC):
    """One query, checked. A kind of it says what it reads and gives, and what becomes of its rows."""

    kind: ClassVar[str]
    folder: ClassVar[str]
    reads: ClassVar[str]
    """The view that a query is over."""
    gives: ClassVar[tuple[str, ...]]
    """The columns that a query must give."""
    rows: ClassVar[str]
    """The view of what a test compares, after all statements."""
    tells: ClassVar[str]
    """The column that says most of a row."""

    name: str
    query: str
    description: str
    owner: str
    grain: str
    inputs: tuple[str, ...]
    given: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    expected: tuple[dict[str, Any], ...] = field(default=(), repr=False)

    @classmethod
    def names(cls) -> list[str]:
        """Those that there are files of."""
        return sorted(path.stem for path in (project_folder() / cls.folder).glob("*.sql"))

    @classmethod
    def load(cls, name: str, folder: Path | None = None) -> Self:
        """The query of that name. Raises `NotFound` without its files, `BadRequest` with a line a wrong field."""
        folder = folder or project_folder() / cls.folder
        query_file, promise_file = folder / f"{name}.sql", folder / f"{name}.yml"
        for path in (query_file, promise_file):
            if not path.is_file():
                known = ", ".join(sorted(one.stem for one in folder.glob("*.sql"))) or "none yet"
                raise NotFound(f"expected {path.name} in {cls.folder}/, where the {cls.kind}s are: {known}")
        try:
            promise = yaml.safe_load(promise_file.read_text())
        except yaml.YAMLError as error:
            raise BadRequest(f"{name}.yml: expected YAML, {' '.join(str(error).split())}") from error
        return cls.checked(name, query_file.read_text(), promise)

    @classmethod
    def checked(cls, name: str, query: str, promise: Any) -> Self:
        """The query of these texts. Raises `BadRequest` with a line for each wrong field."""
        wrong: list[str] = []
        whole, rest = statements(query)
        queries = [*whole, *([rest] if rest else [])]
        if len(queries) != 1 or not re.match(r"(select|with)\b", queries[0], re.I):
            wrong.append(f"{name}.sql: expected one select over {cls.reads}, got {len(queries)} statements")
        if not isinstance(promise, dict):
            raise BadRequest("\n".join([*wrong, f"{name}.yml: expected fields such as description, got {promise!r}"]))
        fields = Fields(cls.kind, promise, wrong)
        made = cls(
            name=name,
            query=queries[0] if queries else "",
            description=fields.text("description"),
            owner=fields.text("owner"),
            grain=fields.text("grain"),
            inputs=tuple(fields.texts("inputs", "a list of names of metrics")),
            **cls.own(fields),
        )
        fields.no_others()
        strangers = sorted({str(row["metric"]) for row in made.given if "metric" in row} - {*made.inputs})
        if strangers:
            wrong.append(
                f"given: expected rows of {', '.join(made.inputs)}, got {', '.join(strangers)}: name it in inputs"
            )
        wrong += made.flaws()
        if wrong:
            raise BadRequest("\n".join(wrong))
        return made

    @classmethod
    @abstractmethod
    def own(cls, fields: Fields) -> dict[str, Any]:
        """The fields of this kind, and its rows given and expected."""

    @abstractmethod
    def flaws(self) -> list[str]:
        """What else is wrong with it, a line each."""

    @property
    @abstractmethod
    def made_of(self) -> list[Any]:
        """What its rows are computed from: a change of it makes other rows."""

    @property
    def looks_back_ms(self) -> int:
        """How much longer its state must live than that of other jobs."""
        return 0

    @property
    def options(self) -> dict[str, str]:
        """Flink's options of its job, beside those that all have."""
        return {}

    @abstractmethod
    def starts(self, run: Run, settings: JobSettings, now_ms: int) -> tuple[int, int]:
        """(`from_ms`, `first_pane`) of a job with empty state; `run` has those of the one before, or 0."""

    @abstractmethod
    def source_statements(self, run: Run, settings: JobSettings) -> list[str]:
        """The tables of its job, in the log."""

    @abstractmethod
    def given_statements(self) -> list[str]:
        """In their place, the rows given, in their order."""

    @abstractmethod
    def view_statements(self) -> list[str]:
        """The views from there to its rows."""

    @abstractmethod
    def insert_statement(self, run: Run) -> str:
        """Where its rows go."""

    @abstractmethod
    def held(self, rows: Iterable[Row], columns: list[str]) -> dict[Key, dict[str, Any]]:
        """What a store holds after all rows of a test."""

    @abstractmethod
    def key(self, row: Mapping[str, Any]) -> Key:
        """What a row is known by."""

    @abstractmethod
    def named(self, key: Key) -> str:
        """The same for people."""

    def other_statements(self, made: Iterable[str], settings: JobSettings, begin: Start, group: str) -> list[str]:
        """The other tables and views of `sql/` that the query names, and what they are made of.

        `made` are the statements that are run anyway; reading starts where `begin` says, as the Kafka group `group`.
        """
        there = {match[1] for each in made for match in _MADE.finditer(each)}
        return list(tables.made(tables.needed(self.query, there), settings, begin, group))

    def function_statements(self) -> list[str]:
        """The functions of `udfs` that the query names: each session that has one starts a Python beside it."""
        return list(tables.made_functions(tables.called(self.query)))

    def explained(self, said: str) -> str:
        """Flink's reason, with what a query must give where a column of it is what is missing."""
        missing = [name for name in self.gives if f"Column '{name}' not found" in said]
        if missing:
            return f"{self.name}.sql: expected the columns {', '.join(self.gives)}, {missing[0]} is missing"
        return f"{self.name}.sql: {said}"


def literal(value: Any, kind: type) -> str:
    """A value in SQL."""
    if kind is str:
        return "'" + str(value).replace("'", "''") + "'"
    return f"{float(value):.17e}" if kind is float else str(int(value))


def only(inputs: Iterable[str]) -> str:
    """The condition that a row is of one of these metrics."""
    return f"and metric in ({', '.join(literal(name, str) for name in inputs)})"
