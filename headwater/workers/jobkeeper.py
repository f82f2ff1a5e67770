"""Keeps the wanted Flink jobs running: `python -m headwater.workers.jobkeeper`.

Flink restarts a job whose TaskManager was killed by itself. What it cannot survive alone is the loss of its
JobManager, which remembers nothing: then the job is submitted again, from its newest checkpoint. No job runs twice.
"""

from __future__ import annotations

import threading

import structlog

from headwater.logs import configure
from headwater.model.errors import HeadwaterError
from headwater.model.settings import JobSettings
from headwater.sql.keeping import QueryKeeper
from headwater.stack import catalog, kept, record
from headwater.stack.job_states import JobStates
from headwater.stack.jobs import Keeper
from headwater.stack.state import State
from headwater.stack.supervise import Supervisor
from headwater.stack.yielding import Yielding
from headwater.stopping import stop_event

EVERY_S = 2.0
REFUSED_S = 10.0
_log = structlog.get_logger()


def keep(state: State, settings: JobSettings, stopping: threading.Event) -> None:
    """Looks after all jobs until `stopping` is set. Nothing that Flink or a job does ends this loop."""
    keepers: dict[str, Keeper] = {}
    queries, states = QueryKeeper(state, settings), JobStates(state, settings)
    yielding = Yielding(Supervisor(state), catalog.programs(state))
    while not stopping.is_set():
        pause = EVERY_S
        for name in record.names(state):
            try:
                keeper = keepers.get(name) or keepers.setdefault(name, kept.keeper(state, name, settings))
                if did := keeper.look():
                    _log.info("job", job=name, did=did)
            except OSError as error:
                _log.warning("Flink does not answer, waiting", flink=settings.flink, error=str(error))
            except HeadwaterError as error:
                _log.error("job was not taken, trying again", job=name, error=str(error))
                pause = REFUSED_S
        try:
            for did in queries.look():
                _log.info("query", did=did)
        except OSError as error:
            _log.warning(
                "Flink does not answer, metrics and patterns wait", flink=queries.cluster.url, error=str(error)
            )
        states.look()
        yielding.look()
        stopping.wait(pause)


def main() -> None:
    """Runs until SIGTERM; the jobs go on without it."""
    settings = JobSettings()
    configure(settings.log_format)
    stopping = stop_event()
    keep(State.load(), settings, stopping)
    _log.info("stopped")


if __name__ == "__main__":
    main()
