import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from headwater.stack import yielding
from headwater.stack.yielding import COMING_UP_S, Yielding, yield_to_others

THREADS = "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start(); time.sleep(60)"


@pytest.fixture
def process():
    with subprocess.Popen([sys.executable, "-c", THREADS]) as process:
        until = time.monotonic() + 60
        while len(threads(process.pid)) < 2:
            assert time.monotonic() < until, "its second thread"
            time.sleep(0.02)
        yield process
        process.kill()


def threads(pid: int) -> list[int]:
    return [int(name) for name in os.listdir(f"/proc/{pid}/task")]


def niceness(pid: int) -> set[int]:
    return {os.getpriority(os.PRIO_PROCESS, one) for one in threads(pid)}


def looked(process, age_s: float) -> set[int]:
    """The niceness of a program that yields by 7, after a look at that age."""
    running = SimpleNamespace(name="slow", pid=process.pid, since=int(time.time() - age_s))
    other = SimpleNamespace(name="door", pid=os.getpid(), since=0)
    supervisor = SimpleNamespace(programs=lambda: {"slow": running, "door": other})
    programs = [SimpleNamespace(name="slow", yields=7), SimpleNamespace(name="door", yields=0)]
    Yielding(supervisor, programs).look()
    return niceness(process.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="threads of a process are seen in /proc")
def test_a_program_yields_with_all_its_threads_once_it_has_come_up(process):
    before = os.getpriority(os.PRIO_PROCESS, 0)
    assert looked(process, COMING_UP_S - 60) == {before}
    assert looked(process, COMING_UP_S + 5) == {max(before, 7)}
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


@pytest.mark.skipif(sys.platform != "linux", reason="threads of a process are seen in /proc")
def test_nobody_is_made_less_nice_and_one_that_has_ended_is_left_alone(process):
    yield_to_others(process.pid, 9)
    yield_to_others(process.pid, 3)
    assert niceness(process.pid) == {max(os.getpriority(os.PRIO_PROCESS, 0), 9)}
    process.kill()
    process.wait()
    yielding.yield_to_others(process.pid, 12)
