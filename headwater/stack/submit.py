"""Hands a job to the cluster, with the code of now."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from headwater.model.errors import StackError
from headwater.model.settings import project_folder
from headwater.stack import flink, jvm, places, plans
from headwater.stack.files import private_folder
from headwater.stack.page import digest
from headwater.stack.state import State

SHIPPED = ("headwater", "jobs", "udfs", "connectors", "sql")

PATIENCE_S = 180


def wheel(state: State) -> Path:
    """The wheel of this code, built once for each change. Raises `StackError` with the builder's last words."""
    now = digest(plans.files(SHIPPED), project_folder())[:16]
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
