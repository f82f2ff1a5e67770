"""The Flink cluster over its REST interface: which jobs run, and how one is stopped."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from headwater.model.errors import NotFound, StackError
from headwater.stack import probes
from headwater.stack.program import Probe
from headwater.stack.trace import innermost

STARTING_S = 10.0
"""A job that is to be stopped or cancelled may take so long until it runs; one that only fails is cancelled then."""

ENDED = {"FINISHED", "CANCELED", "FAILED", "SUSPENDED"}


@dataclass(frozen=True)
class Job:
    """One job on the cluster. `started` is epoch ms; `tasks_running` of `tasks` subtasks are up."""

    id: str
    name: str
    state: str
    started: int
    tasks: int
    tasks_running: int

    @property
    def live(self) -> bool:
        """True unless it has ended for good; a restarting job is live."""
        return self.state not in ENDED

    @property
    def healthy(self) -> bool:
        """True if every subtask runs."""
        return self.state == "RUNNING" and self.tasks_running == self.tasks > 0


class Cluster:
    """The cluster whose REST address is `url`. Every call raises `OSError` if it does not answer."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def jobs(self) -> list[Job]:
        """All jobs that the JobManager remembers, newest first."""
        found = probes.http_json(f"{self.url}/jobs/overview", timeout_s=5)["jobs"]
        jobs = [
            Job(
                one["jid"],
                one["name"],
                one["state"],
                one["start-time"],
                one["tasks"]["total"],
                one["tasks"]["running"],
            )
            for one in found
        ]
        return sorted(jobs, key=lambda job: -job.started)

    def live(self, name: str) -> list[Job]:
        """The jobs of that name that have not ended; more than one is an error of somebody."""
        return [job for job in self.jobs() if job.name == name and job.live]

    def probe(self, name: str) -> Probe:
        """Ready when one job of that name runs with all its subtasks."""

        def check() -> None:
            found = self.live(name)
            if not found:
                raise StackError(f"no job {name} is on the cluster")
            if not found[0].healthy:
                raise StackError(f"{name} is {found[0].state}, {found[0].tasks_running} of {found[0].tasks} tasks run")

        return check

    def checkpoints(self, job_id: str) -> dict[str, Any]:
        """Counts and the latest checkpoints of a job, as Flink gives them."""
        found: dict[str, Any] = probes.http_json(f"{self.url}/jobs/{job_id}/checkpoints", timeout_s=5)
        return found

    def why_failed(self, job_id: str, characters: int = 2_000) -> str:
        """The beginning of a job's last exception; empty if it has none."""
        found = probes.http_json(f"{self.url}/jobs/{job_id}/exceptions", timeout_s=5)
        entries = found.get("exceptionHistory", {}).get("entries", [])
        return (
            str(entries[0]["stacktrace"])[:characters]
            if entries
            else str(found.get("root-exception") or "")[:characters]
        )

    def started(self, name: str) -> list[Job]:
        """The live jobs of that name, once all their tasks run; as they are where that takes more than `STARTING_S`."""
        until = time.monotonic() + STARTING_S
        while (live := self.live(name)) and not all(one.healthy for one in live) and time.monotonic() < until:
            time.sleep(0.1)
        return live

    def stop(self, name: str, folder: str = "", timeout_s: float = 60) -> str:
        """Stops a job with a savepoint, below `folder` or the cluster's default, and returns the savepoint's path.

        One that is only just starting is waited for: Flink takes no savepoint before all tasks run.
        Raises `NotFound` if no such job runs, and `StackError` if the savepoint fails: then the job goes on.
        """
        jobs = self.started(name)
        if not jobs:
            raise NotFound(f"no job {name} runs on {self.url}; `headwater jobs list` shows what does")
        until = time.monotonic() + timeout_s
        body = {"drain": False, **({"targetDirectory": folder} if folder else {})}
        trigger = self._post(f"/jobs/{jobs[0].id}/stop", body)["request-id"]
        while time.monotonic() < until:
            # The stop is under way: a JobManager that is busy is asked again, for as long as this may take.
            with suppress(TimeoutError):
                found = probes.http_json(f"{self.url}/jobs/{jobs[0].id}/savepoints/{trigger}", timeout_s=5)
                if found["status"]["id"] == "COMPLETED":
                    return _location(name, found["operation"])
            time.sleep(0.1)
        raise StackError(f"The savepoint of {name} took more than {timeout_s:.0f} s.", "try again when Kafka is up.")

    def cancel(self, job_id: str) -> None:
        """Ends a job without a savepoint; its checkpoints are kept."""
        self._send("PATCH", f"/jobs/{job_id}?mode=cancel", None)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._send("POST", path, body))
        return found

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> bytes:
        request = urllib.request.Request(  # noqa: S310  # the cluster's http address
            f"{self.url}{path}",
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            raise StackError(f"Flink refused {method} {path}: {error.read().decode(errors='replace')[:500]}") from error


def _location(name: str, operation: dict[str, Any]) -> str:
    """Where a savepoint lies that has ended. Raises `StackError` if it failed."""
    if "location" in operation:
        return str(operation["location"])
    cause = operation.get("failure-cause", {})
    why = innermost(str(cause.get("stack-trace", ""))) or cause.get("class", "unknown")
    raise StackError(f"The savepoint of {name} failed ({why}); the job goes on.", "see its exceptions.")
