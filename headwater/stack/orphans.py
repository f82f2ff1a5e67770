"""Finds and ends what a killed supervisor left behind.

Each process of a stack has the stack's folder and its own name in its environment; nothing else on the machine has
both. So orphans are found whatever their parents were, and nothing else is ever touched.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil

from headwater.stack.state import State
from headwater.stack.supervise import MARK

GRACE_S = 12.0
SERVERS = ("kafka", "postgres", "valkey", "clickhouse", "jobmanager", "taskmanager")
"""What the other programs write to: it ends after them, or they would wait for it in vain."""


def processes(folder: Path) -> list[tuple[str, psutil.Process]]:
    """(program, process) of the stack whose state lies in `folder`, this process and its parents excepted."""
    found, ours = [], {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        if process.pid in ours:
            continue
        try:
            environment = process.environ()
        except (psutil.Error, OSError):
            continue
        if environment.get("HEADWATER_STATE") == str(folder) and MARK in environment:
            found.append((environment[MARK], process))
    return found


def clean(state: State) -> list[str]:
    """Ends every process of this stack and returns the names of their programs.

    Call it only when no supervisor of this stack answers. A stuck supervisord is ended first, or it would restart
    the others.
    """
    found = processes(state.folder)
    for name, process in found:
        if name == "supervisord":
            _signal(process, signal.SIGKILL)
    for group in ([p for n, p in found if n not in SERVERS], [p for n, p in found if n in SERVERS and n != "postgres"]):
        _end(group, signal.SIGTERM)
    # PostgreSQL waits for its clients on SIGTERM; SIGINT is its fast shutdown.
    _end([process for name, process in found if name == "postgres"], signal.SIGINT)
    return sorted({name for name, _ in found})


def _end(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        _signal(process, number)
    _, left = psutil.wait_procs(processes, timeout=GRACE_S)
    for process in left:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(left, timeout=5)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        pass
