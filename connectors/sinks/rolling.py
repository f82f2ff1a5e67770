"""Rolls up beside the sink, in a thread and a connection of its own, so that rows do not wait for a long pass."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import structlog

from connectors.sinks.rollup import ROLLED, roll_up

_SHARE = 20
"""A level is rolled up at most a twentieth of the time: with each pass every series that changed is written again."""

_AGAIN_S = 5.0
"""After an outage."""

_ENDING_S = 5.0
"""A pass that is left behind ends by itself when its server answers or its connection breaks; passes take turns."""


class Rolling:
    """Brings each level up to date every `every_s`, or less often where a pass takes long, until `stop`.

    Marks and rows agree whatever happens (`connectors/sinks/rollup.py`), so a pass may fail or be cancelled.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]], every_s: float) -> None:
        self._connect = connect
        self._every_s = every_s
        self._stopping = threading.Event()
        self._connected: psycopg.Connection[Any] | None = None
        self._log = structlog.get_logger(__name__)
        self._thread = threading.Thread(target=self._run, name="rollups", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Cancels a pass that runs, and ends. Never raises. Waits for a server that does not answer some seconds."""
        self._stopping.set()
        until = time.monotonic() + _ENDING_S
        while self._thread.is_alive() and time.monotonic() < until:
            if connected := self._connected:
                try:
                    connected.cancel_safe(timeout=2)
                except psycopg.Error:
                    self._log.debug("rollups.not-cancelled")
            self._thread.join(0.5)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._connect() as self._connected:
                    self._passes(self._connected)
            except (psycopg.Error, OSError) as error:
                if not self._stopping.is_set():
                    self._log.warning("rollups.outage", error=str(error).strip(), kind=type(error).__name__)
                    self._stopping.wait(_AGAIN_S)
            finally:
                self._connected = None

    def _passes(self, connection: psycopg.Connection[Any]) -> None:
        due = dict.fromkeys(ROLLED, 0.0)
        while not self._stopping.wait(max(0.0, min(due.values()) - time.monotonic())):
            for level in ROLLED:
                begun = time.monotonic()
                if begun >= due[level] and not self._stopping.is_set():
                    roll_up(connection, level)
                    due[level] = begun + max(self._every_s, (time.monotonic() - begun) * _SHARE)
