"""From what a job may go on: its retained checkpoints and savepoints on disk, newest first."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from headwater.stack import flink
from headwater.stack.state import State


@dataclass(frozen=True)
class Snapshot:
    """One completed checkpoint or savepoint: its folder, the job that it is of, when it was completed (epoch ms)."""

    path: Path
    job_id: str
    taken_ms: int

    @property
    def uri(self) -> str:
        """As Flink wants it."""
        return self.path.as_uri()


def _snapshot(metadata: Path, job_id: str) -> Snapshot:
    return Snapshot(metadata.parent, job_id, metadata.stat().st_mtime_ns // 1_000_000)


def of_jobs(state: State, job_ids: Iterable[str]) -> list[Snapshot]:
    """Every completed snapshot of these jobs, newest first. One without `_metadata` was never completed."""
    found: list[Snapshot] = []
    for job_id in job_ids:
        found += [_snapshot(path, job_id) for path in (flink.checkpoints(state) / job_id).glob("chk-*/_metadata")]
        pattern = f"savepoint-{job_id[:6]}-*/_metadata"
        found += [_snapshot(path, job_id) for path in flink.savepoints(state).glob(pattern)]
    return sorted(found, key=lambda one: -one.taken_ms)


def forget(state: State, job_ids: Iterable[str]) -> None:
    """Deletes the snapshots of jobs that nobody will go on from."""
    for job_id in job_ids:
        shutil.rmtree(flink.checkpoints(state) / job_id, ignore_errors=True)
        for path in flink.savepoints(state).glob(f"savepoint-{job_id[:6]}-*"):
            shutil.rmtree(path, ignore_errors=True)
