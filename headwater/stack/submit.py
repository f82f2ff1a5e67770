"""Hands a job to the cluster: from the newest snapshot, rewound with empty state, or from the beginning."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from headwater.model.errors import StackError
from headwater.model.settings import JobSettings, project_folder
from headwater.stack import flink, jvm, places
from headwater.stack.files import private_folder
from headwater.stack.page import digest
from headwater.stack.state import State

SHIPPED = ("headwater", "jobs", "udfs", "connectors", "sql")
PLANNED = ("jobs", "udfs", "sql/sources", "sql/views", "sql/sinks")
"""Folders that a plan is made from: state of another plan cannot be restored."""

ADDRESSES = {"kafka", "postgres", "clickhouse", "valkey", "mqtt", "flink", "api", "host"}
UNPLANNED = ADDRESSES | {"log_format", "parallelism", "outage_ms", "generation", "low_disk_mb"}
"""Settings that do not change a plan."""

PATIENCE_S = 180


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
