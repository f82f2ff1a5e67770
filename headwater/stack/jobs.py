"""Keeps a job running: looks whether it does, and if not submits it from where it was.

- its newest snapshot is of the same plan and younger than the longest outage: the job goes on from it;
- it is older, or was discarded: empty state, rewound to before the panes that were open then;
- the plan has changed: the same, and the rows get a higher generation, which is shown when the job has caught up;
- there is none: from the beginning of the log.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from headwater.model.errors import NotFound, StackError
from headwater.model.settings import JobSettings
from headwater.stack import snapshots, submit
from headwater.stack.cluster import Cluster, Job
from headwater.stack.record import DISCARDED, Record, record, save
from headwater.stack.rewind import RawLog, has_caught_up, plan_rewind
from headwater.stack.snapshots import Snapshot
from headwater.stack.state import State

SNAPSHOT_TIMEOUT_MS = 120_000
"""A checkpoint is completed at most this long after its positions were taken (`flink-conf/config.yaml`)."""

MARK_EVERY_S = 60.0
"""How often the generation that is shown is said again, for readers that start later."""

GONE_S = 60.0


@dataclass(frozen=True)
class Start:
    """How a job is to start, and why in words: from `snapshot`, rewound with empty state, or from the beginning.

    `changed`: its query is another one, so its rows need a higher generation.
    """

    why: str
    snapshot: Snapshot | None = None
    rewound: bool = False
    changed: bool = False


def now_ms() -> int:
    """Wall clock, epoch ms."""
    return time.time_ns() // 1_000_000


def choose_start(known: Record, found: list[Snapshot], settings: JobSettings, plan: str, now: int) -> Start:
    """The decision alone: no clock, no disk. `found` is newest first."""
    last = next(reversed(known.runs.values()), plan)
    if known.raise_next or last not in (plan, DISCARDED):
        return Start("the plan has changed: empty state, rewound, a higher generation", rewound=True, changed=True)
    if not found and known.rebuild is None:
        return Start("no snapshot: from the beginning of the log")
    if not found or known.runs.get(found[0].job_id) != plan:
        return Start("a rebuild: empty state, rewound", rewound=True)
    age = now - found[0].taken_ms
    if age > settings.outage_ms:
        return Start(f"the newest snapshot is {age // 1000} s old: empty state, rewound", rewound=True)
    usable = [one for one in found if str(one.path) not in known.bad and known.runs.get(one.job_id) == plan]
    if not usable:
        return Start("no snapshot could be restored: empty state, rewound", rewound=True)
    return Start(f"from {usable[0].path.name}", usable[0])


class Keeper:
    """Keeps one job of a stack running. Not for two threads at once."""

    def __init__(self, state: State, name: str, settings: JobSettings) -> None:
        self.state, self.name, self.settings = state, name, settings
        self.cluster = Cluster(settings.flink)
        self.log = RawLog(settings)
        self._restored: tuple[str, Snapshot] | None = None
        self._marked_at = float("-inf")

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
        return self._show(known)

    def _submit(self, known: Record) -> str:
        plan = submit.plan_digest(self.name, self.settings)
        found = snapshots.of_jobs(self.state, known.runs)
        start = choose_start(known, found, self.settings, plan, now_ms())
        options = ["--parallelism", str(self.settings.parallelism)]
        if start.snapshot:
            options += ["--savepoint", start.snapshot.uri]
        if start.rewound:
            rebuild = plan_rewind(known, self.log, self.settings, self._good_ms(found), start.changed)
            if rebuild.from_ms:
                options += ["--start-from-ms", str(rebuild.from_ms)]
            self.state.remember(generation=known.generation)
            # Whatever happens next, the job that may soon run is one that has not caught up.
            save(self.state, known)
        options += [word for pane, number in known.generations for word in ("--generation", f"{pane}:{number}")]
        job_id = submit.submit(self.state, self.name, *options)
        known.runs[job_id] = plan
        self._restored = (job_id, start.snapshot) if start.snapshot else None
        return f"submitted as {job_id}, {start.why}"

    def _good_ms(self, found: list[Snapshot]) -> int:
        """The last good log time; 0 if nothing is known of any."""
        if not found:
            return 0
        reached = self.log.reached()
        return found[0].taken_ms - SNAPSHOT_TIMEOUT_MS if reached is None else reached

    def _show(self, known: Record) -> str:
        """Ends a rebuild that has caught up, and says from time to time which generation is shown."""
        if known.rebuild is not None:
            if not has_caught_up(known.rebuild, self.log.committed()):
                return ""
            if known.rebuild.raised:
                self.log.mark(known.rebuild.raised)
            self._marked_at = time.monotonic()
            raised, known.rebuild = known.rebuild.raised, None
            return f"caught up; generation {raised} is shown" if raised else "caught up"
        if known.generation and time.monotonic() - self._marked_at >= MARK_EVERY_S:
            self.log.mark(known.generation)
            self._marked_at = time.monotonic()
        return ""

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

    Raises `NotFound` if it does not run, and `StackError` if its plan has changed: state of another plan cannot be
    restored. In both cases nothing is stopped.
    """
    plan = submit.plan_digest(keeper.name, keeper.settings)
    submit.wheel(keeper.state)  # before the stop: a wheel that cannot be built must not cost a running job
    with record(keeper.state, keeper.name) as known:
        live = keeper.cluster.live(keeper.name)
        if live and known.runs.get(live[0].id) != plan:
            raise StackError(
                f"The plan of {keeper.name} has changed, the running job's state does not fit it: nothing was done.",
                "`headwater jobs rebuild --changed` reads the log again from before the panes that are open.",
            )
        keeper.cluster.stop(keeper.name)
        _wait_gone(keeper.cluster, live[0])
        known.wanted = True
        return keeper.look_at(known)


def rebuild(keeper: Keeper, changed: bool) -> str:
    """Ends a job and starts it with empty state from before the panes that are open; says what it did.

    With `changed`, and always if the plan has changed, rows get a higher generation and may shrink; they are shown when
    the job has caught up. Raises `StackError` if the job does not end.
    """
    plan = submit.plan_digest(keeper.name, keeper.settings)
    with record(keeper.state, keeper.name) as known:
        for job in keeper.cluster.live(keeper.name):
            known.runs.setdefault(job.id, "")
            _end(keeper.cluster, job)
        known.runs = {job_id: DISCARDED if of == plan else of for job_id, of in known.runs.items()}
        known.wanted, known.raise_next = True, changed or known.raise_next
        save(keeper.state, known)
        return keeper.look_at(known)


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
