"""Keeps the jobs of deployed metrics and patterns running: from the newest checkpoint, and without the PyFlink client.

One whose query fails at run time is stopped, alone, and says why; one whose cluster or Kafka was away is submitted
again, unless it does nothing but fail.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from headwater.clock import now_ms
from headwater.model.errors import BadRequest, StackError
from headwater.model.settings import JobSettings
from headwater.sql import closing, deployed, tables
from headwater.sql.deployed import Deployed
from headwater.sql.query import Query
from headwater.sql.session import Session
from headwater.stack import flink, gateway, life, probes, snapshots, submit
from headwater.stack.cluster import Cluster, Job
from headwater.stack.program import why_not_ready
from headwater.stack.state import State
from headwater.stack.trace import innermost

PARALLELISM = 1
GONE_S = 30.0

_NOT_ITS_FAULT = re.compile(
    r"apache\.kafka|TaskManager|TaskExecutor|NoResourceAvailable|[Hh]eartbeat of \w+Manager|JobMaster|"
    r"Connection refused|RemoteTransport|java\.lang\.OutOfMemoryError|CheckpointException|DiskError|No space left"
)
"""Words in the reason of a failure that say that the machine failed and not the query (which may say them, too)."""

MOST_IN_VAIN = 5
"""So often in a row a query's job may fail before its first checkpoint while Kafka answers, whatever the reason."""

_FEW_RESTARTS = {
    "restart-strategy.type": "exponential-delay",
    "restart-strategy.exponential-delay.initial-backoff": "200 ms",
    "restart-strategy.exponential-delay.max-backoff": "2 s",
    "restart-strategy.exponential-delay.attempts-before-reset-backoff": "4",
}


def its_fault(trace: str) -> str:
    """Why a query failed, in a line; empty if the stack trace tells of the machine or of Kafka."""
    said = "\n".join(line for line in trace.splitlines() if not line.lstrip().startswith(("at ", "... ")))
    return "" if _NOT_ITS_FAULT.search(said) else innermost(trace) or "no reason is known"


def options(state: State, settings: JobSettings, one: Deployed, wheel: str, savepoint: str = "") -> dict[str, str]:
    """Flink's options of the session that submits the job of a query."""
    query = one.as_query()
    return {
        **tables.properties(settings, wheel, PARALLELISM, one.job),
        **flink.job_options(state),
        **_FEW_RESTARTS,
        "table.exec.state.ttl": f"{settings.state_ttl_ms + query.looks_back_ms} ms",
        # Sinks choose by version: a state that puts changes of one row in order would only delay them.
        "table.exec.sink.upsert-materialize": "NONE",
        "table.exec.sink.require-on-conflict": "false",
        **query.options,
        "pipeline.name": one.job,
        **({"execution.state-recovery.path": savepoint} if savepoint else {}),
    }


def job_statements(settings: JobSettings, one: Deployed) -> list[str]:
    """All that a session must run before the insert, and the insert."""
    query = one.as_query()
    sources, views = query.source_statements(one.run, settings), query.view_statements()
    begin = tables.start(one.run.from_ms or None)
    return [
        *query.function_statements(),
        *sources,
        *query.other_statements([*sources, *views], settings, begin, f"headwater-{one.job}"),
        *views,
        query.insert_statement(one.run),
    ]


class QueryKeeper:
    """Keeps the jobs of all deployed metrics and patterns of a stack running. Not for two threads at once."""

    def __init__(self, state: State, settings: JobSettings) -> None:
        self.state, self.settings = state, settings
        self.cluster = Cluster(settings.flink)
        self._postgres = settings.postgres.get_secret_value()
        self._restored: dict[str, tuple[str, str]] = {}

    def look(self) -> list[str]:
        """One look at each query; says what it did. Raises `OSError` if the cluster does not answer."""
        said = []
        for one in deployed.all_of(self.state):
            try:
                with deployed.locked(self.state, one.name):
                    now = deployed.read(self.state, one.name)
                    if now is not None and (did := self.look_at(now)):
                        said.append(f"{one.name}: {did}")
            except (StackError, BadRequest) as error:
                said.append(f"{one.name}: {error}")
        try:
            said += closing.clear(self.settings, deployed.all_of(self.state), now_ms())
        except StackError as error:
            said.append(f"open alerts of patterns: {error}")
        return said

    def look_at(self, one: Deployed) -> str:
        """The same for one, for who holds its lock."""
        jobs = [job for job in self.cluster.jobs() if job.name == one.job]
        live = [job for job in jobs if job.live]
        if not one.wanted:
            self._cancel(one.job)
            return f"{len(live)} jobs of an undeployed {one.kind} cancelled" if live else ""
        if live:
            return self._seen_running(one, live)
        if one.state == "failed":
            return ""
        ended = [job for job in jobs if job.state == "FAILED" and one.runs and job.id == one.runs[-1]]
        if ended and (why := self._its_fault(one, ended[0])):
            one.state, one.why = "failed", why
            deployed.save(self.state, one, self._postgres)
            return f"stopped, since its query failed: {why}"
        return self.submit(one)

    def _seen_running(self, one: Deployed, live: list[Job]) -> str:
        for job in live:
            if job.id != live[0].id:
                self.cluster.cancel(job.id)
        state = "running" if live[0].healthy else "starting"
        changed = state != one.state or one.why != ""
        if live[0].id not in one.runs:
            one.runs.append(live[0].id)
            changed = True
        old = [job_id for job_id in one.runs if job_id != live[0].id]
        if old and snapshots.of_jobs(self.state, [live[0].id]):
            snapshots.forget(self.state, old)
            one.runs, one.bad, changed = [live[0].id], [], True
        if changed:
            one.state, one.why = state, ""
            deployed.save(self.state, one, self._postgres)
        return ""

    def _its_fault(self, one: Deployed, job: Job) -> str:
        """Why its query failed; empty if it was the machine, or the snapshot that it was to go on from."""
        trace = self.cluster.why_failed(job.id, 20_000)
        restored = self._restored.pop(one.name, None)
        if restored is not None and restored[0] == job.id and "restore" in trace:
            one.bad.append(restored[1])
            return ""
        return its_fault(trace) or self._in_vain(one, job, trace)

    def _in_vain(self, one: Deployed, job: Job, trace: str) -> str:
        """The same for one that fails for what looks like the machine, but again and again, and before a checkpoint.

        Each time Flink has restarted the job some times itself. What fails while Kafka is away does not count.
        """
        if snapshots.of_jobs(self.state, [job.id]):
            one.in_vain = 0
        elif not why_not_ready(probes.kafka(self.settings.kafka)):
            one.in_vain += 1
        if one.in_vain < MOST_IN_VAIN:
            return ""
        why = innermost(trace) or "no reason is known"
        return f"its job ended {one.in_vain} times in a row before its first checkpoint: {why}"

    def submit(self, one: Deployed) -> str:
        """Submits the job of a query, from its newest snapshot if there is one. Raises `StackError`, `BadRequest`."""
        ensure_gateway(self.state)
        found = [each for each in snapshots.of_jobs(self.state, one.runs) if str(each.path) not in one.bad]
        savepoint = found[0].uri if found else ""
        if not savepoint:
            one.from_ms, one.first_pane = one.as_query().starts(one.run, self.settings, now_ms())
        with self._prepared(one, savepoint) as (session, insert):
            job_id = session.execute(insert).job_id
        one.runs.append(job_id)
        one.state, one.why = "starting", ""
        if found:
            self._restored[one.name] = (job_id, str(found[0].path))
        deployed.save(self.state, one, self._postgres)
        return f"submitted as {job_id}, {f'from {found[0].path.name}' if found else 'with empty state'}"

    def deploy(self, query: Query, check: Callable[[], None]) -> str:
        """Deploys a query that was tested; one that has changed takes the place of the one that runs.

        `check` raises if there is no room for a job more. Raises `BadRequest` with Flink's reason; what ran before then
        goes on.
        """
        if query.kind == "metric" and (devices := deployed.measured(self._postgres, query.name)):
            raise BadRequest(f"name: expected one that no device sends, {', '.join(devices)} does: choose another")
        with deployed.locked(self.state, query.name):
            before = deployed.read(self.state, query.name)
            if before is not None and before.kind != query.kind:
                raise BadRequest(f"name: expected one that no {before.kind} has, {query.name} is one: choose another")
            one = deployed.of(query)
            same = before is not None and before.digest == one.digest
            if before is not None:
                one.revision = before.revision + (0 if same else 1)
                one.runs = before.runs if same else []
            if before is not None and same and before.wanted:
                one.from_ms, one.first_pane = before.from_ms, before.first_pane
            live = self.cluster.live(one.job)
            if live and same and before is not None and before.state != "failed":
                one.state, one.why = before.state, before.why
                deployed.save(self.state, one, self._postgres)
                return "its query is unchanged and runs; what is said of it is taken over"
            if live:
                self.explain(one)
                self._cancel(one.job)
                self._wait_gone(one.job)
            else:
                check()
            return self.submit(one)

    def explain(self, one: Deployed) -> None:
        """Has Flink plan the job without running it, before what runs is ended. Raises `BadRequest` with its reason."""
        ensure_gateway(self.state)
        with self._prepared(one) as (session, insert):
            session.run(f"explain {insert[insert.index('insert into') :]}")

    @contextmanager
    def _prepared(self, one: Deployed, savepoint: str = "") -> Iterator[tuple[Session, str]]:
        """A session with all that the job of a query needs, and the insert that submits it."""
        given = options(self.state, self.settings, one, str(submit.wheel(self.state)), savepoint)
        with Session(gateway.url(self.state), given) as session:
            *before, insert = job_statements(self.settings, one)
            try:
                for each in before:
                    session.run(each)
                yield session, insert
            except BadRequest as error:
                raise BadRequest(one.as_query().explained(str(error))) from error

    def undeploy(self, name: str) -> str:
        """Ends a query's job and leaves its rows. Raises `BadRequest` if it is not deployed."""
        with deployed.locked(self.state, name):
            one = deployed.read(self.state, name)
            if one is None or not one.wanted:
                raise BadRequest(f"expected a deployed metric or pattern, got {name}: `headwater sql list` shows them")
            cancelled = self._cancel(one.job)
            self._wait_gone(one.job)
            snapshots.forget(self.state, one.runs)
            one.wanted, one.state, one.why, one.runs = False, "undeployed", "", []
            one.from_ms = now_ms()
            deployed.save(self.state, one, self._postgres)
        return f"{cancelled} job cancelled; its rows stay"

    def _cancel(self, job: str) -> int:
        """Cancels what lives of a job, once it runs; returns how many.

        Cancelled while it is still being initialised, Flink's join in mini-batches ends its whole TaskManager, and with
        it all jobs (2.3.0: its `close` clears a buffer that `open` has not made yet).
        """
        live = self.cluster.started(job)
        for one in live:
            self.cluster.cancel(one.id)
        return len(live)

    def _wait_gone(self, job: str) -> None:
        until = time.monotonic() + GONE_S
        while self.cluster.live(job):
            if time.monotonic() > until:
                raise StackError(f"{job} did not end within {GONE_S:.0f} s.", "see `headwater logs jobmanager`.")
            time.sleep(0.1)


def ensure_gateway(state: State) -> None:
    """Starts the gateway if it does not run."""
    if why_not_ready(gateway.program(state).probe):
        life.ensure(state, gateway.NAME)
