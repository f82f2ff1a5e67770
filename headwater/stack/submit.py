"""Hands a job to the cluster: from the newest snapshot, rewound with empty state, or from the beginning.

What is known of a job is a small file: whether it is wanted, the ids under which it has run, and a digest of the code
and settings that its plan is made from. A lock on that file keeps two submissions apart, so that no job runs twice.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from headwater.model.errors import StackError
from headwater.model.pack import PANE_MS
from headwater.model.settings import JobSettings, project_folder
from headwater.stack import flink, jvm, places
from headwater.stack.files import private_folder, write_private
from headwater.stack.page import digest
from headwater.stack.snapshots import Snapshot
from headwater.stack.state import State

SHIPPED = ("headwater", "jobs", "udfs", "connectors", "sql")
PLANNED = ("jobs", "udfs", "sql/sources", "sql/views", "sql/sinks")
"""Folders that a plan is made from: state of another plan cannot be restored."""

UNPLANNED = {"kafka", "postgres", "valkey", "mqtt", "flink", "api", "host", "log_format", "parallelism", "outage_ms"}
"""Settings that do not change a plan."""

PATIENCE_S = 180

SNAPSHOT_TIMEOUT_MS = 120_000
"""A checkpoint is completed at most this long after its positions were taken (`flink-conf/config.yaml`)."""


@dataclass
class Record:
    """What the stack remembers of a job.

    `runs` maps each job id under which it ran, newest last, to the digest of its plan (empty: submitted by somebody
    else). `bad` are snapshots that could not be restored.
    """

    name: str
    wanted: bool = True
    runs: dict[str, str] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)


@contextmanager
def record(state: State, name: str) -> Iterator[Record]:
    """The record of a job under a lock; changes are written at the end of the block."""
    folder = private_folder(private_folder(state.folder / "flink") / "jobs")
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = folder / f"{name}.json"
        known = Record(**json.loads(path.read_text())) if path.is_file() else Record(name)
        yield known
        write_private(path, json.dumps(asdict(known), indent=2))


def _files(names: tuple[str, ...]) -> Iterator[Path]:
    for name in names:
        for path in sorted((project_folder() / name).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def plan_digest(name: str, settings: JobSettings) -> str:
    """Changes when the plan of a job may have changed: its code, its SQL, or a setting that it is generated from."""
    shaping = {key: value for key, value in settings.model_dump(mode="json").items() if key not in UNPLANNED}
    text = name + digest(_files(PLANNED), project_folder()) + json.dumps(shaping, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def wheel(state: State) -> Path:
    """The wheel of this code, built once for each change. Raises `StackError` with the builder's last words."""
    now = digest(_files((*SHIPPED,)), project_folder())[:16]
    folder = state.folder / "flink" / "code" / now
    found = sorted(folder.glob("*.whl"))
    if found:
        return found[0]
    private_folder(private_folder(state.folder / "flink") / "code")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=project_folder(),
        capture_output=True,
        text=True,
        check=False,
    )
    found = sorted(folder.glob("*.whl"))
    if done.returncode or not found:
        raise StackError(
            f"The wheel for the jobs was not built: {(done.stderr or done.stdout)[-800:]}", "see pyproject.toml."
        )
    return found[0]


def rewind_ms(snapshot: Snapshot, settings: JobSettings) -> int:
    """The log time from which a job with empty state rebuilds every pane that `snapshot` may have held open.

    A pane takes readings from `ahead_ms` before its start to `horizon_ms` after its end; versions in the sinks hide
    its partial rows until they have caught up.
    """
    return snapshot.taken_ms - SNAPSHOT_TIMEOUT_MS - settings.horizon_ms - PANE_MS - settings.ahead_ms


def submit(state: State, name: str, *options: str) -> str:
    """Submits a job, detached, and returns its id. `options` are those of `jobs.run`.

    Raises `StackError` with the last words of the submission.
    """
    given = {"python.files": str(wheel(state)), **flink.job_options(state)}
    pairs = [word for key, value in given.items() for word in ("-D", f"{key}={value}")]
    command = [str(places.jobs_python()), "-m", "jobs.run", name, *pairs, *options]
    environment = {
        **os.environ,
        "HEADWATER_STATE": str(state.folder),
        "JAVA_HOME": str(places.java_home()),
        "JVM_ARGS": f"{jvm.LIGHT} -XX:+UseSerialGC",
    }
    if "flink" not in state.external:
        environment |= flink.environment(state)
    # The client is to import the code that it submits, and PyFlink from its own environment.
    environment.pop("PYTHONPATH", None)
    try:
        done = subprocess.run(
            command,
            cwd=project_folder(),
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StackError(
            f"The submission of {name} took more than {PATIENCE_S} s.", "see `headwater doctor`."
        ) from error
    found = re.findall(r"^job-id: ([0-9a-f]{32})\s*$", done.stdout, re.M)
    if done.returncode or not found:
        words = (done.stderr or done.stdout).strip()[-1_500:]
        raise StackError(f"The job {name} was not submitted (exit code {done.returncode}): {words}")
    return str(found[-1])
