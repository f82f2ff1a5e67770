"""The supervisor's configuration, and what is read from its log."""

import configparser
import os
import subprocess
import sys

import pytest

from headwater.stack import catalog, orphans, probes, status
from headwater.stack.flink import job_options, rendered
from headwater.stack.program import Program
from headwater.stack.state import State
from headwater.stack.supervise import MARK, Supervisor, configuration


@pytest.fixture
def state(tmp_path):
    return State.open(tmp_path / "state 100%", {"HEADWATER_PORTS": "free"})


def parsed(state, *programs):
    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=(";",))
    parser.read_string(configuration(state, programs))
    return parser


def test_every_process_carries_the_stack_and_its_name(state):
    program = Program(name="valkey", command=("run",), probe=probes.nothing, environment={"A": "50%"})
    section = parsed(state, program)["program:valkey"]
    assert f'{MARK}="valkey"' in section["environment"]
    assert 'A="50%%"' in section["environment"]
    assert section["autorestart"] == "true"
    assert section["autostart"] == "false"


def test_words_with_blanks_stay_one_word(state):
    program = Program(name="postgres", command=("postgres", "-c", "name=", "a b"), probe=probes.nothing)
    assert parsed(state, program)["program:postgres"]["command"] == 'postgres -c "name=" "a b"'


def test_restarts_are_counted_from_the_supervisors_log(state):
    logs = state.folder / "logs"
    logs.mkdir()
    (logs / "supervisord.log.1").write_text("INFO spawned: 'kafka' with pid 1\n")
    (logs / "supervisord.log").write_text("INFO spawned: 'kafka' with pid 2\nINFO spawned: 'api' with pid 3\n")
    assert Supervisor(state)._starts() == {"kafka": 2, "api": 1}


def test_a_supervisor_that_does_not_run_has_no_programs(state):
    assert not Supervisor(state).alive()
    assert Supervisor(state).programs() == {}


def test_a_running_process_is_healthy_only_if_it_answers():
    assert status.health("RUNNING", "") == "healthy"
    assert status.health("RUNNING", "connection refused") == "unhealthy"
    assert status.health("STARTING", "") == "starting"
    assert status.health("BACKOFF", "") == "starting"
    assert status.health("FATAL", "") == "failed"
    assert status.health("STOPPED", "") == "stopped"


def sleeper(**environment):
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env={**os.environ, **environment})


def test_orphans_of_this_stack_are_ended_and_nobody_else(state, tmp_path):
    ours = sleeper(HEADWATER_STATE=str(state.folder), **{MARK: "agent"})
    others = sleeper(HEADWATER_STATE=str(tmp_path / "another"), **{MARK: "agent"})
    shell = sleeper(HEADWATER_STATE=str(state.folder))
    try:
        # A process has its environment once it has left fork: Popen returns after that.
        assert orphans.clean(state) == ["agent"]
        assert ours.poll() is not None
        assert (others.poll(), shell.poll()) == (None, None)
    finally:
        for process in (ours, others, shell):
            process.kill()
            process.wait()


def test_a_server_of_your_own_is_not_started(tmp_path):
    state = State.open(
        tmp_path, {"HEADWATER_PORTS": "free", "HEADWATER_KAFKA": "k:9092", "HEADWATER_FLINK": "http://f:8081"}
    )
    names = {program.name for program in catalog.programs(state)}
    assert not names & {"kafka", "jobmanager", "taskmanager"}
    assert {"postgres", "valkey", "broker", "bridge", "api"} <= names


def test_everything_that_a_program_waits_for_exists(state):
    steps = catalog.steps(state, lambda _: "")
    names = {step.name for step in steps}
    assert {need for step in steps for need in step.depends} <= names


def test_devices_publish_only_after_the_bridge_has_subscribed(state):
    depends = {step.name: step.depends for step in catalog.steps(state, lambda _: "")}
    assert "bridge" in depends["agent"]
    assert "bridge" in depends["fleet"]


def test_every_job_gets_checkpoints_with_its_submission(state):
    options = job_options(state)
    assert options["execution.checkpointing.interval"] == "10 s"
    assert options["execution.checkpointing.dir"] == f"file://{state.folder}/flink/checkpoints"
    assert options["execution.checkpointing.externalized-checkpoint-retention"] == "RETAIN_ON_CANCELLATION"


def test_a_cluster_of_somebody_else_keeps_its_own_folders(tmp_path):
    state = State.open(tmp_path, {"HEADWATER_PORTS": "free", "HEADWATER_FLINK": "http://f:8081"})
    options = job_options(state)
    assert options["execution.checkpointing.interval"] == "10 s"
    assert not [value for value in options.values() if str(tmp_path) in value]


def test_flinks_configuration_listens_on_this_machine_alone(state):
    text = rendered(state)
    assert f"bind-address: {state.host}" in text
    assert "$" not in text
