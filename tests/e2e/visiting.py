"""The whole stack as a person starts it, and tabs of a real browser in front of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

HEADWATER = Path(sys.executable).with_name("headwater")
DEVICES = 20
START_S = 420
"""Wide: a first start fetches jars and builds the page, and the machine may be busy."""


@dataclass(frozen=True)
class Stack:
    """A running stack, seen through the command line alone."""

    folder: Path

    def call(self, *words: str, timeout: float = 240) -> str:
        """What `headwater WORDS` prints. Fails the test with all of it if the command does."""
        env = os.environ | {
            "HEADWATER_STATE": str(self.folder),
            "HEADWATER_PORTS": "free",
            "HEADWATER_FLEET_DEVICES": str(DEVICES),
        }
        done = subprocess.run(
            [HEADWATER, *words], env=env, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode:
            said = f"headwater {' '.join(words)} exited {done.returncode}:\n{done.stdout}\n{done.stderr}"
            pytest.fail(said, pytrace=False)
        return done.stdout

    def status(self) -> dict[str, Any]:
        """`headwater status --json`."""
        said: dict[str, Any] = json.loads(self.call("status", "--json"))
        return said

    def pid(self, service: str) -> int:
        """The process of a service."""
        return next(int(one["pid"]) for one in self.status()["services"] if one["name"] == service)


@dataclass
class Visit:
    """One tab on the page, and what it complained of."""

    page: Page
    origin: str
    key: str
    complaints: list[str]
    foreign: list[str]

    def open(self, path: str = "/", key: str | None = None) -> Page:
        """Opens a path with the key in the address, as the printed address has it."""
        joint = "&" if "?" in path else "?"
        self.page.goto(f"{self.origin}{path}{joint}key={self.key if key is None else key}")
        return self.page


def visit(browser: Browser, stack: Stack, viewport: dict[str, int], scheme: str = "light") -> Iterator[Visit]:
    """A fresh tab that notes console errors and requests to anybody else."""
    said = stack.status()
    origin = said["addresses"]["page"].rstrip("/")
    context = browser.new_context(viewport=viewport, color_scheme=scheme)  # type: ignore[arg-type]
    context.set_default_timeout(120_000)
    page = context.new_page()
    made = Visit(page, origin, said["access_key"], [], [])
    page.on("console", lambda m: made.complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: made.complaints.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith(origin) else made.foreign.append(r.url))
    yield made
    context.close()
