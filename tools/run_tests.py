"""Runs every ring of tests, in two lanes side by side: most tests wait for a server, so two at a time end sooner.

    python -m tools.run_tests

The first lane is shown as it runs, the second when both have ended. Exit code 1 if a test of any ring failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

ROOT = Path(__file__).parents[1]
LONG = tuple(
    f"tests/integration/test_{name}.py"
    for name in (
        "doors_under_stress",
        "rebuild",
        "replay",
        "sql_gateway",
        "sql_tables",
        "stack_keeper",
        "udf_on_a_cluster",
    )
)
"""Files that take minutes each: in the second lane, so that both take as long."""
APP = (".venv/dev/bin/python", "-m", "pytest", "--durations=15")
JOBS = (".venv/jobs-test/bin/python", "-m", "pytest", "--durations=5")
FIRST = ((*APP, "tests/house", "tests/unit", "tests/integration", *(f"--ignore={one}" for one in LONG)),)
SECOND = ((*APP, *LONG, "tests/e2e"), (*JOBS, "tests/flink"))


def lane(commands: tuple[tuple[str, ...], ...], ports: str, out: IO[bytes] | None) -> bool:
    """Runs all of `commands`, one after the other, with free ports of that range; False if one failed."""
    given = {**os.environ, "HEADWATER_FREE_PORTS": ports}
    said: dict[str, Any] = {"stdout": out, "stderr": out and subprocess.STDOUT}
    codes = [subprocess.run(one, cwd=ROOT, env=given, **said).returncode for one in commands]
    return not any(codes)


def main() -> int:
    """Both lanes."""
    with TemporaryFile() as written, ThreadPoolExecutor(1) as beside:
        second = beside.submit(lane, SECOND, "21000-31999", written)
        good = lane(FIRST, "10000-20999", None)
        good = second.result() and good
        written.seek(0)
        sys.stdout.buffer.write(written.read())
        sys.stdout.flush()
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
