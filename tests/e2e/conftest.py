"""The whole stack as a person starts it, and a real browser in front of it.

`HEADWATER_TEST_STACK` names the state folder of a running stack to use instead; it is left as it is.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.e2e.visiting import START_S, Stack, Visit, visit
from tools.prepare_tests import CHROMIUM, find_chromium

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
expect.set_options(timeout=60_000)  # on an idle machine it comes within a second
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Started by `headwater up` in a folder of its own, on free ports, with a small fleet; gone at the end."""
    if given := os.environ.get("HEADWATER_TEST_STACK"):
        yield Stack(Path(given))
        return
    own = Stack(tmp_path_factory.mktemp("e2e") / "state")
    try:
        try:
            own.call("up", timeout=START_S)
        except (pytest.fail.Exception, subprocess.TimeoutExpired):
            # On a busy machine a JVM may be slower than it is waited for; `up` goes on from where it stopped.
            own.call("up", timeout=START_S)
        yield own
    finally:
        own.call("reset", "--yes", timeout=600)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium of this machine."""
    found = find_chromium()
    if found is None:
        pytest.fail(f"Expected one of {', '.join(CHROMIUM)} on PATH, found none: install Chromium (apt, brew, …).")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=QUIET, timeout=180_000)
        yield browser
        browser.close()


@pytest.fixture
def desktop(browser: Browser, stack: Stack) -> Iterator[Visit]:
    """A tab of 1440 by 900."""
    yield from visit(browser, stack, DESKTOP)


@pytest.fixture
def phone(browser: Browser, stack: Stack) -> Iterator[Visit]:
    """A tab of 390 by 844, dark."""
    yield from visit(browser, stack, PHONE, "dark")
