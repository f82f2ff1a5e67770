"""How each job is kept."""

from __future__ import annotations

from collections.abc import Iterable

from headwater.model.errors import StackError
from headwater.model.settings import JobSettings
from headwater.stack import plans, record
from headwater.stack.carried import CarriedKeeper
from headwater.stack.cluster import Cluster, Job
from headwater.stack.jobs import Keeper
from headwater.stack.program import Probe
from headwater.stack.rewound import RewoundKeeper
from headwater.stack.state import State
from headwater.stack.trace import causes

REWOUND = ("aggregation",)
NAMED = ("alerting",)
"""Jobs that name all that has state."""


def keeper(state: State, name: str, settings: JobSettings) -> Keeper:
    """The keeper of a job. Raises `NotFound` if there is no such job."""
    plans.planned(name)
    if name in REWOUND:
        return RewoundKeeper(state, name, settings)
    return CarriedKeeper(state, name, settings, name in NAMED)


def probe(state: State) -> Probe:
    """Ready when the first job runs, and no other was refused or fails: the others may come a moment later."""
    first, *others = record.STARTED
    cluster = Cluster(state.url("flink"))
    runs = cluster.probe(first)

    def check() -> None:
        runs()
        for name in others:
            known = record.peek(state, name)
            if known.wanted and known.trouble:
                raise StackError(known.trouble)
            if known.wanted and (why := failing(cluster, cluster.live(name))):
                raise StackError(f"{name} fails again and again: {why}")

    return check


def failing(cluster: Cluster, live: Iterable[Job]) -> str:
    """Why a job does not run that is `live` on the cluster, in a line; empty if it runs, or has not failed yet."""
    for job in live:
        if not job.healthy and (trace := cluster.why_failed(job.id, 20_000)):
            return causes(trace)
    return ""
