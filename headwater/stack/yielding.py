"""What works off yields to what takes readings in, once it has come up: it starts, and recovers, at full pace.

The bridge has one thread where the TaskManager has twenty, and each of them gets the same share of a full machine. A
user without rights may make a process of their own nicer, but never less nice again: so it is done late, and a new
process begins anew.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from headwater.stack.program import Program
from headwater.stack.supervise import Supervisor

COMING_UP_S = 120.0
"""So long a process works at full pace: to start, to compile, to catch up."""

_EVERY_S = 20.0


class Yielding:
    """Makes programs nicer when they have lived for a while. Not for two threads at once."""

    def __init__(self, supervisor: Supervisor, programs: list[Program]) -> None:
        self._supervisor = supervisor
        self._wanted = {program.name: program.yields for program in programs if program.yields}
        self._next = 0.0

    def look(self) -> None:
        """Raises the niceness of each process that is old enough; cheap to call often."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY_S
        for one in self._supervisor.programs().values():
            if one.name in self._wanted and one.pid and time.time() - one.since >= COMING_UP_S:
                yield_to_others(one.pid, self._wanted[one.name])


def yield_to_others(pid: int, nice: int) -> None:
    """Sets the niceness of a process, on Linux that of each of its threads; new threads have it from their maker."""
    threads = Path(f"/proc/{pid}/task")
    try:
        for number in [int(one.name) for one in threads.iterdir()] if threads.is_dir() else [pid]:
            if os.getpriority(os.PRIO_PROCESS, number) < nice:
                os.setpriority(os.PRIO_PROCESS, number, nice)
    except OSError:
        pass  # it has just ended, a thread of it has (the next look finds the others), or it is somebody else's
