"""Starts programs without a supervisor, for as long as a block lasts: tests use the stack's own definitions."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from headwater.model.errors import StackError
from headwater.stack.files import private_folder
from headwater.stack.program import Program, why_not_ready

POLL_S = 0.1
PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
"""Found before any fork: the child of a process with many threads must load nothing."""


@contextmanager
def running(program: Program, logs: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Starts `program`, waits until it is ready, and stops it at the end of the block.

    Its output goes to `logs/NAME.log`. Raises `StackError` with the last of it if the program is not ready in time.
    """
    process = start(program, logs)
    try:
        wait_ready(program, process, logs)
        yield process
    finally:
        stop(program, process)


def start(program: Program, logs: Path) -> subprocess.Popen[bytes]:
    """Starts `program` in a process group of its own."""
    extra = {}
    if program.user:
        extra = {"user": program.user, "group": pwd.getpwnam(program.user).pw_gid, "extra_groups": []}
    with (private_folder(logs) / f"{program.name}.log").open("ab") as log:
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            program.command,
            env={**os.environ, **program.environment},
            cwd=program.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=partial(_end_with_parent, getattr(signal, f"SIG{program.stop_signal}")),
            **extra,
        )


def _end_with_parent(number: int) -> None:
    """Asks Linux to send `number` when the parent ends: a test run that is killed leaves no servers behind."""
    if _prctl:
        _prctl(PR_SET_PDEATHSIG, number)


def wait_ready(program: Program, process: subprocess.Popen[bytes], logs: Path) -> None:
    """Returns when the probe passes. Raises `StackError` if the process ends or `patience_s` is over.

    A process that has ended is not ready, even if the probe passes: then another has taken its port.
    """
    until = time.monotonic() + program.patience_s
    while (why := why_not_ready(program.probe)) or process.poll() is not None:
        if process.poll() is not None or time.monotonic() > until:
            tail = (logs / f"{program.name}.log").read_text(errors="replace")[-1500:]
            ended = f"exit code {process.returncode}" if process.returncode is not None else why
            raise StackError(f"{program.name} did not become ready ({ended}). Its last words:\n{tail}")
        time.sleep(POLL_S)


def stop(program: Program, process: subprocess.Popen[bytes]) -> None:
    """Stops it as it likes to be stopped, and after `stop_wait_s` by SIGKILL to its whole group."""
    if process.poll() is not None:
        return
    process.send_signal(getattr(signal, f"SIG{program.stop_signal}"))
    try:
        process.wait(program.stop_wait_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
