"""Looks at the bridge's queue some times a second, and closes or opens the gate for publishers."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import structlog
from prometheus_client import Gauge

from headwater.broker.engine import Engine
from headwater.broker.gate import Gate
from headwater.model.disk import free_mb
from headwater.model.settings import BrokerSettings, state_folder

TICK_S = 0.25
SWEEP_MS = 5_000
"""How often those who got in while the gate closed are sent away: all sessions are walked for it."""

_QUEUED = Gauge("headwater_broker_queued", "Messages that wait for the bridge, in flight included")
_DROPPED = Gauge(
    "headwater_broker_dropped",
    "Messages that HiveMQ dropped; an alarm, but for some never acknowledged ones after a kill",
)
_FREE = Gauge("headwater_broker_disk_free_megabytes", "Room on the disk of the state folder")
_PAUSED = Gauge("headwater_broker_paused", "1 while nothing is read from publishers, so that the bridge keeps up")
_OPEN = Gauge("headwater_broker_open", "1 while publishers are let in")
_log = structlog.get_logger()


class Watch:
    """The thread that keeps the gate.

    Between two looks at most a quarter second of messages comes in, and HiveMQ's own limit is ten times the gate's, so
    publishers are sent away long before anything acknowledged would be dropped. While the gate is closed everybody but
    the bridge is sent away again and again, because a CONNECT may have passed just before it closed.
    """

    def __init__(self, settings: BrokerSettings, engine: Engine, gate: Gate) -> None:
        self._bridge = settings.bridge_session
        self._engine = engine
        self._gate = gate
        self._folder = state_folder()
        self._dropped = 0
        self._swept_ms = 0
        self._paused = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread."""
        self._stopping.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stopping.wait(TICK_S):
            try:
                self._look()
            except Exception:
                # A look that fails says nothing about the queue; the next one follows at once.
                _log.exception("the bridge's session could not be looked at")

    def _look(self) -> None:
        look = replace(self._engine.look(self._bridge), free_mb=free_mb(self._folder))
        now_ms = time.monotonic_ns() // 1_000_000
        changed = self._gate.update(look, now_ms)
        closed = self._gate.closed
        _QUEUED.set(look.queued)
        _FREE.set(look.free_mb)
        _OPEN.set(closed is None)
        self._look_for_drops()
        if changed:
            text = "publishers are let in" if closed is None else "publishers are refused"
            _log.warning(text, why=closed and closed.name, queued=look.queued, free_mb=look.free_mb)
        if self._paused != self._gate.paused:
            # Noted only once it is done: after a failure the next look does it again, or nobody would be read from.
            reached = self._engine.read_from_all(self._bridge, not self._gate.paused)
            self._paused = self._gate.paused
            _PAUSED.set(self._paused)
            _log.info("publishers wait" if self._paused else "publishers are read", queued=look.queued, clients=reached)
        if closed is not None and (changed or now_ms - self._swept_ms >= SWEEP_MS):
            self._swept_ms = now_ms
            self._engine.send_all_away(self._bridge, "QUOTA_EXCEEDED", closed.value)

    def _look_for_drops(self) -> None:
        """Drops are an alarm, but for a few after a kill: entries whose payload was not written, so not acknowledged.

        HiveMQ's own log line (`event.message-dropped`) gives topic and reason; those say "Internal error".
        """
        # Never less than before: a request is known here before HiveMQ counts it.
        dropped = max(self._dropped, self._engine.dropped())
        _DROPPED.set(dropped)
        if dropped > self._dropped:
            _log.error("HiveMQ dropped messages", dropped=dropped)
        self._dropped = dropped
