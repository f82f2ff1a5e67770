"""The real supervisord under the stack's hand, with programs that do nothing but live."""

import os
import signal
import sys
import time

import psutil
import pytest

from headwater.model.errors import StackError
from headwater.stack import life, orphans, probes
from headwater.stack.program import Program
from headwater.stack.state import State
from headwater.stack.supervise import Supervisor


def program(name, code="import time; time.sleep(600)", settle_s=1, **more):
    return Program(name=name, command=(sys.executable, "-c", code), probe=probes.nothing, settle_s=settle_s, **more)


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.1)
    return found


@pytest.fixture
def supervised(tmp_path):
    """A supervisor with one program, started."""
    state = State.open(tmp_path / "state", {"HEADWATER_PORTS": "free"})
    supervisor = Supervisor(state)
    supervisor.launch([program("sleeper")])
    supervisor.start("sleeper")
    yield state, supervisor
    supervisor.shutdown()
    orphans.clean(state)


def running(supervisor):
    return until(lambda: (found := supervisor.programs().get("sleeper")) and found.state == "RUNNING" and found)


def test_a_killed_program_comes_back_and_its_restart_is_counted(supervised):
    _, supervisor = supervised
    first = running(supervisor)
    assert first.restarts == 0
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: supervisor.programs()["sleeper"].pid not in (0, first.pid))
    second = running(supervisor)
    assert second.pid != first.pid
    assert second.restarts == 1


def test_starting_twice_and_stopping_twice_change_nothing(supervised):
    _, supervisor = supervised
    first = running(supervisor)
    supervisor.start("sleeper")
    assert running(supervisor).pid == first.pid
    supervisor.stop("sleeper")
    supervisor.stop("sleeper")
    assert supervisor.programs()["sleeper"].state == "STOPPED"
    assert not psutil.pid_exists(first.pid)


def test_what_a_killed_supervisor_leaves_is_found_and_ended(supervised):
    state, supervisor = supervised
    pid = running(supervisor).pid
    supervisord = int((state.folder / "supervisord.pid").read_text())
    os.kill(supervisord, signal.SIGKILL)
    until(lambda: not supervisor.alive())
    assert psutil.pid_exists(pid)
    assert "sleeper" in orphans.clean(state)
    assert not psutil.pid_exists(pid)
    supervisor.launch([program("sleeper")])
    supervisor.start("sleeper")
    assert running(supervisor).pid != pid


def test_a_running_supervisor_takes_over_a_new_program_and_leaves_the_others_alone(supervised):
    _, supervisor = supervised
    first = running(supervisor)
    supervisor.launch([program("sleeper"), program("second")])
    supervisor.start("second")
    until(lambda: supervisor.programs()["second"].state == "RUNNING")
    assert supervisor.programs()["sleeper"].pid == first.pid


def test_a_program_that_dies_at_once_fails_with_its_last_words(supervised, monkeypatch):
    state, supervisor = supervised
    # It counts as running after a minute: on a busy machine Python may take seconds to say its last words.
    broken = program("broken", "print('no such disk'); raise SystemExit(3)", settle_s=60, patience_s=4)
    supervisor.launch([program("sleeper"), broken])
    supervisor.start("broken")
    until(lambda: "no such disk" in life.tail(state, "broken"))
    with pytest.raises(StackError, match="no such disk"):
        life._bring_up(supervisor, state, broken)


def test_the_supervisor_answers_nobody_without_its_password(supervised):
    state, _ = supervised
    stranger = State(**{**state.__dict__, "secrets": {**state.secrets, "supervisor": "guess"}})
    assert not Supervisor(stranger).alive()
