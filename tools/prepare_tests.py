"""What the tests need beside their environments: the jars in the shared cache, and the built page."""

from __future__ import annotations

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


def main() -> None:
    """Both, one after the other."""
    with TemporaryDirectory() as folder:
        step("jars", lambda: jars.ensure(Path(folder)))
    step("page", lambda: page.build(state_folder()))


if __name__ == "__main__":
    try:
        main()
    except StackError as error:
        sys.exit(f" ✗ {error}")
