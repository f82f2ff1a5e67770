"""What the tests need beside their environments: the jars in the shared cache, the built page, and a browser."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from headwater.model.errors import StackError
from headwater.model.settings import state_folder
from headwater.stack import jars, page


def step(name: str, run: Callable[[], str]) -> None:
    """Runs one step and prints its line."""
    begun = time.monotonic()
    said = run()
    print(f" ✓ {name:<14} {said} {time.monotonic() - begun:6.1f} s", flush=True)


CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Names that Chromium goes by on PATH; the tests of the page take the first that is there."""


def find_chromium() -> str | None:
    """The path of this machine's Chromium, or None."""
    return next((path for name in CHROMIUM if (path := shutil.which(name))), None)


def browser() -> str:
    """Chromium for the tests of the page. No wheel holds one: it is installed where root and apt can."""
    if found := find_chromium():
        return Path(found).name
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise StackError("No Chromium was found, which the tests of the page drive.", "install chromium, run it again.")
    given = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    patient = ("-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=300")
    for words in (("update", "-qq"), ("install", "-y", "-qq", "chromium")):
        done = subprocess.run(("apt-get", *patient, *words), env=given, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StackError(f"apt-get {' '.join(words)} failed: {done.stderr[-400:]}", "install chromium by hand.")
    return "chromium installed"


def main() -> None:
    """All of it, one after the other."""
    with TemporaryDirectory() as folder:
        step("jars", lambda: jars.ensure(Path(folder)))
    step("page", lambda: page.build(state_folder()))
    step("browser", browser)


if __name__ == "__main__":
    try:
        main()
    except StackError as error:
        sys.exit(f" ✗ {error}")
