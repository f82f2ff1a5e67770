"""What the stack remembers of a deployed query, a metric or a pattern: the text that runs, from where, and how it is.

A file under a lock for the keeper; a row of PostgreSQL for the API, the page and the audits.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import psycopg

from headwater.model.errors import StackError
from headwater.model.stores import DEPLOYED_QUERIES, LEVELS
from headwater.sql.kinds import KINDS
from headwater.sql.query import Query, Run
from headwater.stack.files import private_folder, write_private
from headwater.stack.state import State

STATES = ("starting", "running", "failed", "undeployed")


@dataclass
class Deployed:
    """One query as it was deployed. Times in UTC epoch ms.

    `unit` and `window_ms` are of a metric, `severity` and `clear_ms` of a pattern. `revision` grows with each change of
    the query; it is added to the generation of a metric's rows, so that new ones take the place of old ones, and to the
    version of a pattern. The job reads the log from `from_ms` on. A metric gives rows of panes from `first_pane` on, of
    which it sees everything; a pattern knows nothing of what it raised before `from_ms`. `runs` are its job ids, newest
    last; `bad` are snapshots that could not be restored; `in_vain` is how many of the last runs failed before a first
    checkpoint.
    """

    name: str
    query: str
    description: str
    owner: str
    grain: str
    inputs: list[str]
    kind: str = "metric"
    unit: str = ""
    window_ms: int = 0
    severity: str = ""
    clear_ms: int = 0
    revision: int = 0
    from_ms: int = 0
    first_pane: int = 0
    wanted: bool = True
    state: str = "starting"
    why: str = ""
    runs: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    in_vain: int = 0

    @property
    def job(self) -> str:
        """The name of its Flink job."""
        return f"{self.kind}-{self.name}"

    @property
    def digest(self) -> str:
        """Changes with what its rows are computed from."""
        return hashlib.sha256(json.dumps(self.as_query().made_of).encode()).hexdigest()

    @property
    def run(self) -> Run:
        """What its job is told."""
        return Run(self.job, self.revision, self.from_ms, self.first_pane)

    def as_query(self) -> Query:
        """The query itself, without its test."""
        kind = KINDS[self.kind]
        said = {name: getattr(self, name) for name in _kept(kind)}
        return kind(**{**said, "inputs": tuple(self.inputs)})


def _kept(kind: type[Query]) -> list[str]:
    """The fields of a query that are kept: all but those of its test."""
    return [one.name for one in fields(kind) if one.name not in ("given", "expected")]


def of(query: Query) -> Deployed:
    """A query about to be deployed for the first time."""
    said = {name: getattr(query, name) for name in _kept(type(query))}
    return Deployed(**{**said, "kind": query.kind, "inputs": list(query.inputs)})


def _folder(state: State) -> Path:
    return private_folder(private_folder(state.folder / "flink") / "metrics")  # its name is older than patterns


def _read(path: Path) -> Deployed | None:
    return Deployed(**json.loads(path.read_text())) if path.is_file() else None


def read(state: State, name: str) -> Deployed | None:
    """What is known of one; None if it never was deployed here."""
    return _read(_folder(state) / f"{name}.json")


def all_of(state: State) -> list[Deployed]:
    """Every query that was ever deployed, by name."""
    found = [_read(path) for path in sorted(_folder(state).glob("*.json"))]
    return [one for one in found if one is not None]


@contextmanager
def locked(state: State, name: str) -> Iterator[None]:
    """Nobody else changes that query or its job inside of the block."""
    with (_folder(state) / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def save(state: State, one: Deployed, postgres: str) -> None:
    """Writes both; only inside of `locked`. The file first: raises `StackError` afterwards if PostgreSQL is away."""
    write_private(_folder(state) / f"{one.name}.json", json.dumps(asdict(one), indent=2))
    query = (
        f"insert into {DEPLOYED_QUERIES} as held (name, kind, unit, owner, description, grain, state, why) "  # noqa: S608
        "values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (name) do update set unit = excluded.unit, "
        "owner = excluded.owner, description = excluded.description, grain = excluded.grain, "
        "changed = case when (held.state, held.why) = (excluded.state, excluded.why) then held.changed else now() end, "
        "state = excluded.state, why = excluded.why"
    )
    given = (one.name, one.kind, one.unit, one.owner, one.description, one.grain, one.state, one.why)
    with _connected(postgres) as connection:
        connection.execute(query, given)


def measured(postgres: str, name: str) -> list[str]:
    """Devices that send a metric of that name themselves (at most five): rows of both would fight for one place."""
    query: Any = (
        f"select distinct device from {LEVELS[-1].view} where metric = %s "  # noqa: S608
        f"and not exists (select from {DEPLOYED_QUERIES} where name = %s) limit 5"
    )
    with _connected(postgres) as connection:
        return [str(row[0]) for row in connection.execute(query, (name, name))]


@contextmanager
def _connected(postgres: str) -> Iterator[psycopg.Connection[Any]]:
    try:
        with psycopg.connect(postgres, connect_timeout=5) as connection:
            yield connection
    except psycopg.Error as error:
        raise StackError(
            f"PostgreSQL did not answer for a metric or a pattern: {error}", "`headwater status`."
        ) from error
