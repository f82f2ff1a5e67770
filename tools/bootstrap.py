"""Makes the environments that are named on the command line, from the locked requirements, and nothing else.

    python3 tools/bootstrap.py app jobs

Needs only the standard library of Python 3.11 or 3.12. An environment whose lock file has not changed is left alone; a
run that was interrupted is taken up where it stopped. `.venv/boot` holds uv, which does the work.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
UV = VENV / "boot" / "bin" / "uv"
STAMP = "headwater.stamp"
WITH_PROJECT = {"app", "dev", "jobs-test"}
"""Environments in which the project itself is installed, editable. Jobs get it as a wheel."""


class Failed(Exception):
    """A step that failed: what, why, and what to do."""


def say(mark: str, name: str, text: str, seconds: float) -> None:
    """One line a step, as `headwater up` prints them."""
    print(f" {mark} {name:<14} {text} {seconds:6.1f} s", flush=True)


def run(what: str, fix: str, *command: str | Path, cwd: Path = ROOT) -> str:
    """Runs a command and returns its output. Raises `Failed` with its last words."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment = {"UV_HTTP_TIMEOUT": "300", "UV_HTTP_RETRIES": "5", **environment}  # one wheel has 200 MB
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True)
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip())[-1_200:]
        raise Failed(f"{what} failed:\n{words}\n   fix: {fix}")
    return done.stderr + done.stdout


def lock_of(name: str) -> Path:
    """The lock file of an environment."""
    return ROOT / "requirements" / f"{name}.txt"


def wanted_stamp(name: str) -> str:
    """Changes when the environment has to be made anew."""
    parts = [sys.version, str(VENV), lock_of(name).read_text()]
    if name in WITH_PROJECT:
        parts.append((ROOT / "pyproject.toml").read_text())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def fresh(name: str) -> bool:
    """True if nothing is to be done."""
    stamp = VENV / name / STAMP
    python = VENV / name / "bin" / "python"
    return python.exists() and stamp.is_file() and stamp.read_text() == wanted_stamp(name)


def make_boot() -> None:
    """uv, pinned and with its sum checked, in an environment of its own."""
    if fresh("boot"):
        return
    begun = time.monotonic()
    folder = VENV / "boot"
    shutil.rmtree(folder, ignore_errors=True)
    run(
        "Making .venv/boot",
        "on Debian or Ubuntu: apt install python3-venv; then run it again.",
        *(sys.executable, "-m", "venv", folder),
    )
    run(
        "Installing uv",
        "check the network or the proxy (pip's own settings hold), then run it again.",
        *(folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--require-hashes", "-r", lock_of("boot")),
    )
    (folder / STAMP).write_text(wanted_stamp("boot"))
    say("✓", "boot", "uv, which installs the rest", time.monotonic() - begun)


def make(name: str) -> None:
    """One environment, from its lock file."""
    begun = time.monotonic()
    folder = VENV / name
    python = folder / "bin" / "python"
    (folder / STAMP).unlink(missing_ok=True)
    if not python.exists() or python.resolve() != Path(sys.executable).resolve():
        run(
            f"Making .venv/{name}",
            f"delete .venv/{name} and run it again.",
            *(UV, "venv", "--quiet", "--clear", "--python", sys.executable, folder),
        )
    said = run(
        f"Installing requirements/{name}.txt",
        "check the network, the proxy and the disk (5 GB), then run it again: it goes on from here.",
        *(UV, "pip", "sync", "--python", python, "--require-hashes", lock_of(name)),
    )
    counted = [line for line in said.splitlines() if line.startswith(("Installed", "Audited"))]
    say("✓", f"env {name}", (counted or ["installed"])[-1].split(" in ")[0].lower(), time.monotonic() - begun)


def install_project(names: list[str]) -> None:
    """The project itself, editable, with the build tool that one of the environments holds."""
    begun = time.monotonic()
    builders = [VENV / name for name in ("dev", "app") if (VENV / name / "bin" / "hatchling").exists()]
    if not builders:
        raise Failed("No environment holds hatchling.\n   fix: name app or dev beside the others.")
    out = VENV / "editable"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    script = f"import hatchling.build as build; build.build_editable({str(out)!r})"
    run("Packing the project", "see pyproject.toml.", builders[0] / "bin" / "python", "-c", script)
    [wheel] = out.glob("*.whl")
    for name in names:
        run(
            f"Installing the project into .venv/{name}",
            "run it again.",
            *(UV, "pip", "install", "--quiet", "--no-deps", "--offline", "--reinstall"),
            *("--python", VENV / name / "bin" / "python", wheel),
        )
    say("✓", "project", f"in {', '.join(names)}", time.monotonic() - begun)


def main(names: list[str]) -> None:
    """Everything that is missing, side by side."""
    if sys.version_info[:2] not in ((3, 11), (3, 12)):
        raise Failed(
            f"Python 3.11 or 3.12 is wanted, this is {sys.version.split()[0]}.\n   fix: make PYTHON=python3.12"
        )
    stale = [name for name in names if not fresh(name)]
    if not stale:
        return
    make_boot()
    with ThreadPoolExecutor(len(stale)) as pool:
        list(pool.map(make, stale))
    if projects := [name for name in stale if name in WITH_PROJECT]:
        install_project(projects)
    for name in stale:
        (VENV / name / STAMP).write_text(wanted_stamp(name))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failed as error:
        sys.exit(f" ✗ {error}")
