"""Keeps a job that takes its state along, however long it was away.

A job that names all that has state goes on from its newest snapshot through any change of its plan. One that does not
(plain SQL) goes on from it while its plan is the same; else it begins with empty state where it has read to. Without a
snapshot both begin with the log.
"""

from __future__ import annotations

from headwater.model.settings import JobSettings
from headwater.stack.jobs import SNAPSHOT_TIMEOUT_MS, Keeper, Start
from headwater.stack.record import DISCARDED, Record
from headwater.stack.rewind import RawLog
from headwater.stack.snapshots import Snapshot
from headwater.stack.state import State
from headwater.stack.supervise import Supervisor

TASKMANAGER = "taskmanager"


def choose_snapshot(known: Record, found: list[Snapshot]) -> Snapshot | None:
    """The newest that may be gone on from. `found` is newest first."""
    kept = {job_id for job_id, plan in known.runs.items() if plan != DISCARDED}
    return next((one for one in found if one.job_id in kept and str(one.path) not in known.bad), None)


def holds_old_code(known: Record, code: str, since_ms: int) -> bool:
    """Whether a TaskManager that was started at `since_ms` has loaded other modules than those of `code`.

    In thread mode it keeps what it has loaded, also for a job that brings new ones.
    """
    return known.code not in ("", code) and since_ms < known.submitted_ms


class CarriedKeeper(Keeper):
    """Restores, whatever has changed, if the state of the job is `named`, as it is where functions are of Python."""

    def __init__(self, state: State, name: str, settings: JobSettings, named: bool) -> None:
        super().__init__(state, name, settings)
        self.log = RawLog(settings, f"headwater-{name}")
        self._named = named

    def choose(self, known: Record, found: list[Snapshot], plan: str) -> Start:
        """See `Keeper`."""
        newest = choose_snapshot(known, found)
        if newest is None:
            return Start("no snapshot: from the beginning of the log")
        savepoint = ("--savepoint", newest.uri)
        if known.runs[newest.job_id] == plan:
            return Start(f"from {newest.path.name}", savepoint, newest)
        if self._named:
            ignoring = ("-D", "execution.state-recovery.ignore-unclaimed-state=true")
            return Start(f"from {newest.path.name}, whose plan was another one", (*savepoint, *ignoring), newest)
        reached, taken = self.log.reached(), newest.taken_ms - SNAPSHOT_TIMEOUT_MS
        since = max(0, taken if reached is None else min(reached, taken))
        return Start("the plan has changed: empty state, from where it has read to", ("--start-from-ms", str(since)))

    def prepare(self, known: Record, code: str) -> None:
        """Starts the TaskManager anew if it would run old code; other jobs go on from their checkpoints."""
        supervisor = Supervisor(self.state)
        worker = supervisor.programs().get(TASKMANAGER) if self._named else None
        if worker is not None and holds_old_code(known, code, worker.since * 1_000):
            supervisor.stop(TASKMANAGER)
            supervisor.start(TASKMANAGER)
