"""A program of the stack as data: what to run, when it may start, and how one knows that it is ready."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headwater.model.settings import project_folder

Probe = Callable[[], None]
"""Returns when the program answers as it should; raises anything that says why not."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """One process under the supervisor.

    `depends` names programs and tasks that must be ready first. `port` is a name in the state's ports.
    `environment` is added to that of the supervisor. `user` is set only where root must not run the program.
    `settle_s` is how long a process must live before the supervisor calls it started. `on_demand`: not started on the
    way up, but when somebody needs it. `yields` is how nice (0 to 19) it is to those beside it once it
    has come up (`headwater/stack/yielding.py`).
    """

    name: str
    command: tuple[str, ...]
    probe: Probe
    environment: Mapping[str, str] = field(default_factory=dict)
    depends: tuple[str, ...] = ()
    port: str = ""
    version: str = ""
    says: str = ""
    stop_signal: str = "TERM"
    stop_wait_s: int = 15
    settle_s: int = 2
    patience_s: int = 180
    user: str = ""
    on_demand: bool = False
    yields: int = 0
    folder: Path = field(default_factory=project_folder)


@dataclass(frozen=True, kw_only=True)
class Task:
    """Something to be done once on the way up: make topics, migrate, build the page. `run` may say what it did."""

    name: str
    run: Callable[[], str | None]
    depends: tuple[str, ...] = ()
    says: str = ""


def why_not_ready(probe: Probe) -> str:
    """Empty if `probe` passes, else its reason in one line."""
    try:
        probe()
    except Exception as error:  # a probe may fail in any way that its client library knows
        return " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return ""
