"""The programs of a running stack as targets: killed or stopped, and healthy again."""

from __future__ import annotations

import os
import signal
import time

from headwater.model.errors import NotFound, StackError
from headwater.stack import catalog
from headwater.stack.program import why_not_ready
from headwater.stack.state import State
from headwater.stack.supervise import Supervisor

BYSTANDERS = ("agent", "fleet")
"""Programs that carry no reading of the load."""
HEALTHY_S = 240.0


class Victims:
    """The programs of a running stack, and what can be done to them."""

    def __init__(self, state: State, wanted: tuple[str, ...]) -> None:
        self._state = state
        programs = {one.name: one for one in catalog.programs(state)}
        self.names = wanted or tuple(
            name for name, one in programs.items() if name not in BYSTANDERS and not one.on_demand
        )
        if unknown := [name for name in self.names if name not in programs]:
            raise NotFound(f"expected a program of the stack ({', '.join(programs)}), got {', '.join(unknown)}")
        self._programs = programs

    def pid(self, name: str) -> int | None:
        """The pid of a program if it runs and its probe is content, else None."""
        running = Supervisor(self._state).programs().get(name)
        ready = running and running.state == "RUNNING" and not why_not_ready(self._programs[name].probe)
        return running.pid if running and ready else None

    def wait(self, name: str, not_pid: int | None = None) -> int:
        """Waits until it is healthy, under another pid than `not_pid`. Raises `StackError`."""
        until = time.monotonic() + HEALTHY_S
        while time.monotonic() < until:
            found = self.pid(name)
            if found is not None and found != not_pid:
                return found
            time.sleep(0.2)
        raise StackError(f"{name} is not healthy after {HEALTHY_S:.0f} s", "see `headwater status`.")

    def kill(self, *names: str) -> float:
        """SIGKILL to all at once; returns the seconds until all are healthy under new pids."""
        before = {name: self.wait(name) for name in names}
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        begun = time.monotonic()
        for name, pid in before.items():
            self.wait(name, not_pid=pid)
        return time.monotonic() - begun

    def freeze(self, name: str, seconds: float) -> float:
        """SIGSTOP, and SIGCONT after `seconds`; returns the seconds until it is healthy again, restarted or not."""
        pid = self.wait(name)
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)
        begun = time.monotonic()
        self.wait(name)
        return time.monotonic() - begun
