"""Brings programs and tasks up in the order of what they depend on, everything at once that can be at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Protocol

from headwater.model.errors import StackError
from headwater.stack.program import Program, Task

Step = Program | Task


class Report(Protocol):
    """Who tells the operator."""

    def begun(self, name: str, says: str) -> None:
        """A step starts."""

    def done(self, name: str, says: str, seconds: float) -> None:
        """A step is done; `says` tells what it did."""

    def failed(self, name: str, error: Exception, seconds: float) -> None:
        """A step failed."""


class Silent:
    """Tells nobody."""

    def begun(self, name: str, says: str) -> None:
        """Nothing."""

    def done(self, name: str, says: str, seconds: float) -> None:
        """Nothing."""

    def failed(self, name: str, error: Exception, seconds: float) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Failed:
    """A step that failed, and why."""

    name: str
    error: Exception


def run(steps: Iterable[Step], bring_up: Callable[[Program], str], report: Report) -> list[Failed]:
    """Runs all steps; what does not depend on a failed step still runs. Returns the failures.

    `bring_up` starts a program and returns, when it is ready, what there is to say about it.
    A dependency that is not among the steps counts as met (a server that is not ours, say).
    """
    by_name = {step.name: step for step in steps}
    graph = TopologicalSorter({name: set(step.depends) & by_name.keys() for name, step in by_name.items()})
    graph.prepare()
    failures: list[Failed] = []
    running: dict[Future[str], str] = {}
    with ThreadPoolExecutor(max_workers=len(by_name) or 1, thread_name_prefix="step") as pool:
        while graph.is_active():
            for name in graph.get_ready():
                running[pool.submit(_one, by_name[name], bring_up, report)] = name
            if not running:  # what is left depends on something that failed
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                name = running.pop(future)
                if (error := future.exception()) is None:
                    graph.done(name)
                elif isinstance(error, Exception):
                    failures.append(Failed(name, error))
                else:
                    raise error
    return failures


def _one(step: Step, bring_up: Callable[[Program], str], report: Report) -> str:
    begun = time.monotonic()
    report.begun(step.name, step.says)
    try:
        said = (bring_up(step) if isinstance(step, Program) else step.run()) or step.says
    except Exception as error:
        report.failed(step.name, error, time.monotonic() - begun)
        raise
    report.done(step.name, said, time.monotonic() - begun)
    return said


def blocked(steps: Sequence[Step], failures: Sequence[Failed]) -> list[str]:
    """Names of the steps that never ran because of the failures."""
    dead = {failure.name for failure in failures}
    named = {failure.name for failure in failures}
    grown = True
    while grown:
        more = {step.name for step in steps if step.name not in dead and dead & set(step.depends)}
        grown = bool(more)
        dead |= more
    return sorted(dead - named)


def reason(error: Exception) -> str:
    """An error in one line for the operator."""
    text = str(error) if isinstance(error, StackError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())
