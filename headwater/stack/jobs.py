"""Keeps a job running: looks whether it does, and if not submits it from where it was.

How a job goes on is the job's own: `rewound.py` for one whose state is whole only under the plan that made it,
`carried.py` for one that takes its state along.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass

from headwater.clock import now_ms
from headwater.model.errors import NotFound, StackError
from headwater.model.settings import JobSettings
from headwater.stack import plans, snapshots, submit
from headwater.stack.cluster import Cluster, Job
from headwater.stack.record import DISCARDED, Record, record, save
from headwater.stack.snapshots import Snapshot
from headwater.stack.state import State

SNAPSHOT_TIMEOUT_MS = 120_000
"""A checkpoint is completed at most this long after its positions were taken (`flink-conf/config.yaml`)."""

GONE_S = 60.0


@dataclass(frozen=True)
class Start:
    """How a job is to start: why, in words; options of `jobs.run`; the snapshot that it goes on from, if it does."""

    why: str
    options: tuple[str, ...] = ()
    snapshot: Snapshot | None = None


class Keeper(ABC):
    """Keeps one job of a stack running. Not for two threads at once.

    `generations`: its rows carry one, so that a changed query may take readings away.
    """

    generations = False

    def __init__(self, state: State, name: str, settings: JobSettings) -> None:
        self.state, self.name, self.settings = state, name, settings
        self.cluster = Cluster(settings.flink)
        self._restored: tuple[str, Snapshot] | None = None

    def look(self) -> str:
        """One look, and a submission if the job is wanted and not there; says what it did, empty if nothing.

        Raises `OSError` if the cluster does not answer, `StackError` if the job was not taken.
        """
        with record(self.state, self.name) as known:
            return self.look_at(known)

    def look_at(self, known: Record) -> str:
        """The same, for who holds the record already."""
        live = self.cluster.live(self.name)
        self._note_failed_restore(known)
        if len(live) > 1:
            return self._end_doubles(known, live)
        if not live:
            return self._submit(known) if known.wanted else ""
        if live[0].id not in known.runs:  # somebody else's submission: ours to keep from now on
            known.runs[live[0].id] = ""
        self._forget_old(known, live[0])
        return self.watch(known, live[0])

    @abstractmethod
    def choose(self, known: Record, found: list[Snapshot], plan: str) -> Start:
        """From where the job is to start. `found` are its snapshots, newest first; `plan` is the digest of its plan.

        What must be remembered whatever happens next is written by it.
        """

    def watch(self, known: Record, live: Job) -> str:  # noqa: ARG002  # for those that have something to watch
        """A look at the job that runs; says what it did, empty if nothing."""
        return ""

    def check_upgrade(self, known: Record, live: Job) -> None:  # noqa: B027  # most can always go on
        """Raises `StackError` if the job that runs cannot go on with the code of now."""

    def prepare(self, known: Record, code: str) -> None:  # noqa: B027  # most need nothing
        """What must be done before a job is submitted with `code` (a digest)."""

    def _submit(self, known: Record) -> str:
        plan = plans.plan_digest(self.name, self.settings)
        start = self.choose(known, snapshots.of_jobs(self.state, known.runs), plan)
        options = ("--parallelism", str(self.settings.parallelism), *start.options)
        code = submit.wheel(self.state).parent.name
        self.prepare(known, code)
        try:
            job_id = submit.submit(self.state, self.name, *options)
        except StackError as error:
            known.trouble = str(error)
            save(self.state, known)
            raise
        known.runs[job_id], known.trouble = plan, ""
        known.code, known.submitted_ms = code, now_ms()
        self._restored = (job_id, start.snapshot) if start.snapshot else None
        return f"submitted as {job_id}, {start.why}"

    def _note_failed_restore(self, known: Record) -> None:
        """A job that ended before its first checkpoint could not be restored from its snapshot: try the next one."""
        if self._restored is None:
            return
        job_id, snapshot = self._restored
        ended = [job for job in self.cluster.jobs() if job.id == job_id and job.state == "FAILED"]
        if ended:
            known.bad.append(str(snapshot.path))
            self._restored = None

    def _end_doubles(self, known: Record, live: list[Job]) -> str:
        """Only the one that we submitted last may stay; the rows of the others would be the same, at twice the cost."""
        last = next(reversed(known.runs), "")
        ours = [job for job in live if job.id == last] or live[:1]
        for job in live:
            if job.id != ours[0].id:
                self.cluster.cancel(job.id)
        return f"{len(live) - 1} other jobs of the name {self.name} cancelled"

    def _forget_old(self, known: Record, job: Job) -> None:
        """Once a job has a checkpoint of its own, those of its forerunners are of no use."""
        old = [job_id for job_id in known.runs if job_id != job.id]
        if old and any(snapshots.of_jobs(self.state, [job.id])):
            snapshots.forget(self.state, old)
            known.runs, known.bad, self._restored = {job.id: known.runs[job.id]}, [], None


def stop(state: State, name: str, wanted: bool, timeout_s: float = 60) -> str:
    """Stops a job with a savepoint and returns the savepoint's path. Unless `wanted`, the keeper leaves it stopped.

    Raises `NotFound` if it does not run, `StackError` if the savepoint fails: then the job goes on.
    """
    with record(state, name) as known:
        path = Cluster(state.url("flink")).stop(name, timeout_s=timeout_s)
        known.wanted = wanted
    return path


def cancel(state: State, name: str) -> str:
    """Ends a job without a savepoint, keeps its checkpoints, and leaves it stopped. Raises `NotFound`."""
    with record(state, name) as known:
        cluster = Cluster(state.url("flink"))
        live = cluster.live(name)
        if not live:
            raise NotFound(f"no job {name} runs on {cluster.url}; `headwater jobs list` shows what does")
        known.wanted = False
        for job in live:
            cluster.cancel(job.id)
    return live[0].id


def start(keeper: Keeper) -> str:
    """Wants a job again and submits it from where it was; says what it did, empty if it runs already."""
    with record(keeper.state, keeper.name) as known:
        known.wanted = True
        return keeper.look_at(known)


def upgrade(keeper: Keeper) -> str:
    """Stops a job with a savepoint and goes on from it with the code of now.

    Raises `NotFound` if it does not run, and `StackError` if its state would not fit. In both cases nothing is stopped.
    """
    submit.wheel(keeper.state)  # before the stop: a wheel that cannot be built must not cost a running job
    with record(keeper.state, keeper.name) as known:
        live = keeper.cluster.live(keeper.name)
        if live:
            keeper.check_upgrade(known, live[0])
        keeper.cluster.stop(keeper.name)
        _wait_gone(keeper.cluster, live[0])
        known.wanted = True
        return keeper.look_at(known)


def rebuild(keeper: Keeper, changed: bool) -> str:
    """Ends a job and starts it with empty state from before the panes that are open; says what it did.

    With `changed`, and always if the plan has changed, rows get a higher generation and may shrink; they are shown when
    the job has caught up. Raises `StackError` if the job does not end, or its rows have no generation.
    """
    if changed and not keeper.generations:
        raise StackError(
            f"What {keeper.name} writes has no generation, so nothing of it could shrink: nothing was done.",
            f"`headwater jobs rebuild {keeper.name}` without --changed.",
        )
    plan = plans.plan_digest(keeper.name, keeper.settings)
    with record(keeper.state, keeper.name) as known:
        for job in keeper.cluster.live(keeper.name):
            known.runs.setdefault(job.id, "")
            _end(keeper.cluster, job)
        known.runs = discarded(known.runs, plan, keeper.generations)
        known.wanted, known.raise_next = True, changed or known.raise_next
        save(keeper.state, known)
        return keeper.look_at(known)


def discarded(runs: dict[str, str], plan: str, generations: bool) -> dict[str, str]:
    """`runs`, none of which is gone on with. With `generations` one of another plan keeps it: it tells of a change."""
    return {job_id: of if generations and of != plan else DISCARDED for job_id, of in runs.items()}


def _end(cluster: Cluster, job: Job) -> None:
    """With a savepoint if it is quick, so that what the job has read is committed; else without."""
    try:
        cluster.stop(job.name, timeout_s=15)
    except StackError:
        cluster.cancel(job.id)
    _wait_gone(cluster, job)


def _wait_gone(cluster: Cluster, job: Job) -> None:
    until = time.monotonic() + GONE_S
    while any(one.id == job.id for one in cluster.live(job.name)):
        if time.monotonic() > until:
            raise StackError(
                f"The job {job.name} did not end within {GONE_S:.0f} s.", "see `headwater logs jobmanager`."
            )
        time.sleep(0.2)
