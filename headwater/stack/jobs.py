"""Keeps a job running: looks whether it does, and if not submits it from where it was.

- its newest snapshot is of the same plan and younger than the longest outage: the job goes on from it;
- it is older, or the plan has changed: empty state, rewound to before the panes that were open then;
- there is none: from the beginning of the log.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from headwater.model.errors import NotFound
from headwater.model.settings import JobSettings
from headwater.stack import snapshots, submit
from headwater.stack.cluster import Cluster, Job
from headwater.stack.snapshots import Snapshot
from headwater.stack.state import State
from headwater.stack.submit import Record


@dataclass(frozen=True)
class Start:
    """How a job is to start: options of `jobs.run`, and why in words."""

    options: tuple[str, ...]
    why: str
    snapshot: Snapshot | None = None


def now_ms() -> int:
    """Wall clock, epoch ms."""
    return time.time_ns() // 1_000_000


def choose_start(known: Record, found: list[Snapshot], settings: JobSettings, plan: str, now: int) -> Start:
    """The decision alone: no clock, no disk. `found` is newest first."""
    if not found:
        return Start((), "no snapshot: from the beginning of the log")
    newest = found[0]
    rewound = ("--start-from-ms", str(submit.rewind_ms(newest, settings)))
    if known.runs.get(newest.job_id) != plan:
        return Start(rewound, "the plan has changed: empty state, rewound")
    age = now - newest.taken_ms
    if age > settings.outage_ms:
        return Start(rewound, f"the newest snapshot is {age // 1000} s old: empty state, rewound")
    usable = [one for one in found if str(one.path) not in known.bad and known.runs.get(one.job_id) == plan]
    if not usable:
        return Start(rewound, "no snapshot could be restored: empty state, rewound")
    return Start(("--savepoint", usable[0].uri), f"from {usable[0].path.name}", usable[0])


class Keeper:
    """Keeps one job of a stack running. Not for two threads at once."""

    def __init__(self, state: State, name: str, settings: JobSettings) -> None:
        self.state, self.name, self.settings = state, name, settings
        self.cluster = Cluster(settings.flink)
        self._restored: tuple[str, Snapshot] | None = None

    def look(self) -> str:
        """One look, and a submission if the job is wanted and not there; says what it did, empty if nothing.

        Raises `OSError` if the cluster does not answer, `StackError` if the job was not taken.
        """
        with submit.record(self.state, self.name) as known:
            live = self.cluster.live(self.name)
            self._note_failed_restore(known)
            if len(live) > 1:
                return self._end_doubles(known, live)
            if live:
                if live[0].id not in known.runs:  # somebody else's submission: ours to keep from now on
                    known.runs[live[0].id] = ""
                self._forget_old(known, live[0])
                return ""
            return self._submit(known) if known.wanted else ""

    def _submit(self, known: Record) -> str:
        plan = submit.plan_digest(self.name, self.settings)
        found = snapshots.of_jobs(self.state, known.runs)
        start = choose_start(known, found, self.settings, plan, now_ms())
        options = ("--parallelism", str(self.settings.parallelism), *start.options)
        job_id = submit.submit(self.state, self.name, *options)
        known.runs[job_id] = plan
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
    with submit.record(state, name) as known:
        path = Cluster(state.url("flink")).stop(name, timeout_s=timeout_s)
        known.wanted = wanted
    return path


def cancel(state: State, name: str) -> str:
    """Ends a job without a savepoint, keeps its checkpoints, and leaves it stopped. Raises `NotFound`."""
    with submit.record(state, name) as known:
        cluster = Cluster(state.url("flink"))
        live = cluster.live(name)
        if not live:
            raise NotFound(f"no job {name} runs on {cluster.url}; `headwater jobs list` shows what does")
        known.wanted = False
        for job in live:
            cluster.cancel(job.id)
    return live[0].id
