"""What the stack remembers of a job: a small file under a lock, so that no job is submitted twice."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from headwater.stack.files import private_folder, write_private
from headwater.stack.state import State

STARTED = ("aggregation", "alerting")
"""Jobs that run without anybody's asking, the first one first: it is what all wait for."""

DISCARDED = "discarded"
"""Instead of a plan's digest: state of this run is not to be gone on from, its query is unchanged."""


@dataclass
class Rebuild:
    """A job with empty state that reads the log again and has not caught up.

    It began at log time `from_ms` (0: at the beginning). Rows of panes from `from_pane` on are whole once its committed
    offsets have passed `ends` (raw partition -> offset) and `registry_ends`, and moved on once more from `passed`, what
    they were then. `raised` is the generation that is then to be shown; 0 if the query is the same, so that nothing
    waits.
    """

    from_ms: int
    from_pane: int
    ends: dict[str, int]
    raised: int = 0
    registry_ends: dict[str, int] = field(default_factory=dict)
    passed: dict[str, int] = field(default_factory=dict)


@dataclass
class Record:
    """One job.

    `runs` maps each job id under which it ran, newest last, to the digest of its plan (empty: submitted by somebody
    else). `bad` are snapshots that could not be restored. `generations` are (pane, generation), ascending: rows of
    panes from `pane` (epoch ms) on have that one; none before the first changed query. `raise_next`: the next start
    counts as a changed query. `trouble` is why the last submission was not taken; empty if it was. `code` is the digest
    of the code that was last submitted, at `submitted_ms` (epoch ms).
    """

    name: str
    wanted: bool = True
    runs: dict[str, str] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)
    generations: list[tuple[int, int]] = field(default_factory=list)
    raise_next: bool = False
    rebuild: Rebuild | None = None
    trouble: str = ""
    code: str = ""
    submitted_ms: int = 0

    @property
    def generation(self) -> int:
        """The newest generation; 0 before the first changed query."""
        return self.generations[-1][1] if self.generations else 0


def _path(state: State, name: str) -> Path:
    return private_folder(private_folder(state.folder / "flink") / "jobs") / f"{name}.json"


def _read(path: Path, name: str) -> Record:
    if not path.is_file():
        return Record(name, wanted=name in STARTED)
    known = json.loads(path.read_text())
    known["generations"] = [(pane, generation) for pane, generation in known.get("generations", [])]
    known["rebuild"] = Rebuild(**known["rebuild"]) if known.get("rebuild") else None
    return Record(**known)


def names(state: State) -> list[str]:
    """The jobs that are kept: those that run anyway, and those that somebody has started or stopped."""
    started = sorted(path.stem for path in _path(state, "any").parent.glob("*.json"))
    return [*STARTED, *(name for name in started if name not in STARTED)]


def peek(state: State, name: str) -> Record:
    """What is known of a job, as it was written last; for who only looks."""
    return _read(_path(state, name), name)


def save(state: State, known: Record) -> None:
    """Writes a record now, for what must not be forgotten if the process dies. Only inside `record`."""
    write_private(_path(state, known.name), json.dumps(asdict(known), indent=2))


@contextmanager
def record(state: State, name: str) -> Iterator[Record]:
    """The record of a job under a lock; changes are written at the end of the block, and not after an error."""
    path = _path(state, name)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = _read(path, name)
        yield known
        save(state, known)
