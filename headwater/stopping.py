"""How a process of ours is asked to end: SIGTERM or SIGINT set an event, and its main loop drains and leaves."""

from __future__ import annotations

import signal
import threading


def stop_event() -> threading.Event:
    """An event that SIGTERM and SIGINT set from now on. Call it in the main thread, before anything that takes time."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping
