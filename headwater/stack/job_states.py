"""How each job is, told to PostgreSQL for the API and the page: a job that does not run must not go unseen."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psycopg
import structlog

from headwater.model.settings import JobSettings
from headwater.model.stores import JOB_STATES
from headwater.stack import record
from headwater.stack.cluster import Cluster
from headwater.stack.kept import failing
from headwater.stack.state import State

PATIENCE_S = 20.0
"""A job that has failed comes back within less, unless it fails again; it is not called failing before."""

CALM_S = 15.0
"""Between two failures a job may run for a moment; it is not called running before."""

_log = structlog.get_logger()


@dataclass
class Seen:
    """What was seen of one job: since when it does not run, and since when it does (s; None: it is not so)."""

    down: float | None = None
    up: float | None = None
    why: str = ""

    def state(self, healthy: bool, why: str, now: float) -> tuple[str, str]:
        """(state, why it fails) with what is seen at `now`, of any clock that only goes forward."""
        if healthy:
            self.up = self.up if self.up is not None else now
        else:
            self.up, self.why = None, why or self.why
            self.down = self.down if self.down is not None else now
        if self.up is not None and (self.down is None or now - self.up >= CALM_S):
            self.down, self.why = None, ""
            return "running", ""
        if self.why and self.down is not None and now - self.down >= PATIENCE_S:
            return "failing", self.why
        return "starting", ""


class JobStates:
    """Tells the state of each job when it has changed. Not for two threads at once."""

    def __init__(self, state: State, settings: JobSettings) -> None:
        self._state = state
        self._cluster = Cluster(settings.flink)
        self._postgres = settings.postgres.get_secret_value()
        self._seen: dict[str, Seen] = {}
        self._told: dict[str, tuple[str, str]] = {}

    def look(self) -> None:
        """One look at all jobs. An outage of PostgreSQL is for the next look."""
        now = {name: self._judge(name, time.monotonic()) for name in record.names(self._state)}
        changed = {name: said for name, said in now.items() if self._told.get(name) != said}
        if not changed:
            return
        try:
            with psycopg.connect(self._postgres, connect_timeout=5) as connection:
                for name, (word, why) in changed.items():
                    connection.execute(
                        f"insert into {JOB_STATES} as held (job, state, why) values (%s, %s, %s) "  # noqa: S608
                        "on conflict (job) do update set state = excluded.state, why = excluded.why, changed = "
                        "case when held.state = excluded.state then held.changed else now() end",
                        (name, word, why),
                    )
        except psycopg.Error as error:
            _log.warning("PostgreSQL does not take how the jobs are, waiting", error=str(error))
            return
        self._told.update(changed)

    def _judge(self, name: str, now: float) -> tuple[str, str]:
        """(state, why it does not run)."""
        known = record.peek(self._state, name)
        if not known.wanted:
            self._seen.pop(name, None)
            return "stopped", ""
        healthy, why = self._ask(name)
        return self._seen.setdefault(name, Seen()).state(healthy, why or known.trouble, now)

    def _ask(self, name: str) -> tuple[bool, str]:
        """Whether the job runs with all its tasks, and else why not, as far as Flink knows."""
        try:
            live = self._cluster.live(name)
            return any(job.healthy for job in live), failing(self._cluster, live)
        except OSError as error:
            return False, f"Flink does not answer: {error}"
