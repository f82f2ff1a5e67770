"""How the stack is: every program by what its users see, not only by whether a process exists."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import psutil

from headwater.model.disk import free_mb
from headwater.model.settings import Settings
from headwater.stack import catalog, probes
from headwater.stack.cluster import Cluster, Job
from headwater.stack.program import Probe, Program, why_not_ready
from headwater.stack.state import REPLACEABLE, State
from headwater.stack.supervise import Running, Supervisor

LAGS = {"sink-postgres": "postgres", "sink-clickhouse": "raw", "api": "api", "jobs": "aggregation"}
"""Whose lag the API knows, and by which name."""


@dataclass(frozen=True)
class Service:
    """One program. `state` is healthy, starting, unhealthy, failed, stopped or external; `why` says what is wrong."""

    name: str
    state: str
    pid: int | None
    port: int | None
    version: str
    rss_bytes: int | None
    restarts: int
    lag: int | None
    why: str = ""

    def public(self) -> dict[str, Any]:
        """The part that scripts get."""
        return {name: value for name, value in asdict(self).items() if name != "why"}


def health(word: str, why: str) -> str:
    """One word from the supervisor's and the probe's."""
    if word in ("RUNNING", "STARTING") and not why:
        return "healthy" if word == "RUNNING" else "starting"
    return {"RUNNING": "unhealthy", "STARTING": "starting", "BACKOFF": "starting", "FATAL": "failed"}.get(
        word, "stopped"
    )


def resident(pid: int) -> int | None:
    """Bytes resident of a process and its children; what they share (PostgreSQL) is counted once."""
    try:
        process = psutil.Process(pid)
        family = process.children(recursive=True)
        if not family:
            return int(process.memory_info().rss)
        return sum(_share(one) for one in (process, *family))
    except psutil.Error:
        return None


def _share(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, AttributeError):
        return 0


def services(state: State) -> list[Service]:
    """Every program of the stack and every external server, asked all at once."""
    known = Supervisor(state).programs()
    programs = catalog.programs(state)
    with ThreadPoolExecutor(len(programs) + 1) as pool:
        lags = pool.submit(_lags, state) if known else None
        found = list(pool.map(lambda program: _service(state, program, known.get(program.name)), programs))
    by_name = lags.result() if lags else {}
    ours = [Service(**{**asdict(one), "lag": by_name.get(LAGS.get(one.name, ""))}) for one in found]
    return ours + [_external(state, name) for name in REPLACEABLE if name in state.external]


def _service(state: State, program: Program, running: Running | None) -> Service:
    word = running.state if running else "STOPPED"
    why = why_not_ready(program.probe) if word in ("RUNNING", "STARTING") else ""
    pid = running.pid if running and running.pid else None
    return Service(
        name=program.name,
        state=health(word, why),
        pid=pid,
        port=state.ports[program.port] if program.port else None,
        version=program.version,
        rss_bytes=resident(pid) if pid else None,
        restarts=running.restarts if running else 0,
        lag=None,
        why=why,
    )


def _external(state: State, name: str) -> Service:
    url = state.external[name]
    ask = {
        "kafka": probes.kafka,
        "postgres": probes.postgres,
        "valkey": probes.valkey,
        "clickhouse": probes.clickhouse,
        "flink": probes.flink_jobmanager,
    }
    why = why_not_ready(ask.get(name, _listens)(url))
    return Service(name, "unhealthy" if why else "external", None, urlsplit(url).port, "", None, 0, None, why)


def _listens(url: str) -> Probe:
    address = urlsplit(url)
    return probes.tcp(address.hostname or "127.0.0.1", address.port or 1883)


def _lags(state: State) -> dict[str, int | None]:
    key = {"Authorization": f"Bearer {state.secrets['access_key']}"}
    try:
        found: dict[str, int | None] = probes.http_json(f"{state.url('api')}/v1/status", key)["lag"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found


def addresses(state: State) -> dict[str, str]:
    """Where everything is, with the credentials that scripts need."""
    return {"page": state.url("api") + "/", "api": state.url("api"), **{name: state.url(name) for name in REPLACEABLE}}


def whole(state: State) -> dict[str, Any]:
    """What `headwater status --json` prints."""
    return {
        "addresses": addresses(state),
        "access_key": state.secrets["access_key"],
        "services": [service.public() for service in services(state)],
        "jobs": running_jobs(state),
        "disk": {"free_mb": free_mb(state.folder), "mark_mb": Settings().low_disk_mb},
    }


def running_jobs(state: State) -> list[dict[str, object]]:
    """What runs on the cluster, for `status`; empty if the cluster does not answer."""
    cluster = Cluster(state.url("flink"))
    try:
        live = [job for job in cluster.jobs() if job.live]
        return [_job(cluster, job) for job in live]
    except (OSError, ValueError, KeyError):
        return []


def _job(cluster: Cluster, job: Job) -> dict[str, object]:
    found = cluster.checkpoints(job.id)
    latest = (found.get("latest") or {}).get("completed") or {}
    counts = found.get("counts") or {}
    return {
        "name": job.name,
        "id": job.id,
        "state": job.state,
        "started_ms": job.started,
        "restored": counts.get("restored", 0),
        "checkpoints": counts.get("completed", 0),
        "last_checkpoint_ms": latest.get("latest_ack_timestamp"),
        "state_bytes": latest.get("state_size"),
    }
