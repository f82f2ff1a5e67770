"""The job keeper against a real cluster: a JobManager that is killed costs nothing but time."""

import os
import signal
import time

import pytest

from headwater.model.errors import NotFound
from headwater.model.settings import JobSettings, Settings
from headwater.stack import flink, foreground, jars, jobs, kept, snapshots, submit, topics
from headwater.stack.cluster import Cluster
from headwater.stack.program import why_not_ready
from headwater.stack.record import record
from headwater.stack.state import State

NAME = "aggregation"


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.3)
    return found


class Line:
    """A session cluster that can be killed and started again, and a keeper of its job."""

    def __init__(self, state, settings):
        self.state, self.settings = state, settings
        self.keeper, self.cluster = kept.keeper(state, NAME, settings), Cluster(settings.flink)
        self.programs = [flink.jobmanager(state), flink.taskmanager(state)]
        self.processes = []

    def start(self):
        logs = self.state.folder / "logs"
        self.processes = [foreground.start(program, logs) for program in self.programs]
        for program, process in zip(self.programs, self.processes, strict=True):
            foreground.wait_ready(program, process, logs)

    def kill(self):
        for process in self.processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def stop(self):
        for program, process in zip(self.programs, self.processes, strict=True):
            foreground.stop(program, process)

    def healthy(self):
        live = self.cluster.live(NAME)
        assert len(live) <= 1
        return live and live[0].healthy and live[0]

    def own_snapshots(self, job_id):
        return snapshots.of_jobs(self.state, [job_id])


@pytest.fixture(scope="module")
def line(kafka, tmp_path_factory):
    state = State.open(tmp_path_factory.mktemp("line"), {"HEADWATER_PORTS": "free", "HEADWATER_KAFKA": kafka})
    topics.create_all(Settings(kafka=kafka))
    jars.ensure(state.folder, "flink")
    flink.prepare(state)
    made = Line(state, JobSettings(_env_file=state.folder / "run.env", parallelism=1))
    made.start()
    yield made
    made.stop()


@pytest.mark.timeout(1_200)
def test_a_job_survives_the_loss_of_its_jobmanager_and_never_runs_twice(line):
    assert "from the beginning" in line.keeper.look()
    first = until(line.healthy)
    assert line.keeper.look() == ""
    until(lambda: line.own_snapshots(first.id))

    line.kill()
    with pytest.raises(OSError, match="refused"):
        line.keeper.look()
    line.start()
    assert "from chk-" in line.keeper.look()
    second = until(line.healthy)
    assert line.cluster.checkpoints(second.id)["counts"]["restored"] == 1

    until(lambda: line.own_snapshots(second.id))
    line.keeper.look()
    assert line.own_snapshots(first.id) == []

    path = jobs.stop(line.state, NAME, wanted=False)
    assert line.keeper.look() == ""
    until(lambda: line.cluster.live(NAME) == [])
    with pytest.raises(NotFound):
        jobs.stop(line.state, NAME, wanted=False)

    with record(line.state, NAME) as known:
        known.wanted = True
    assert path.rpartition("/")[2] in line.keeper.look()
    third = until(line.healthy)

    # Somebody submits it once more, past the keeper: it must not stay doubled.
    submit.submit(line.state, NAME, "--parallelism", "1")
    assert "cancelled" in line.keeper.look()
    until(lambda: len(line.cluster.live(NAME)) == 1)
    assert line.cluster.live(NAME)[0].id == third.id

    changed = kept.keeper(line.state, NAME, line.settings.model_copy(update={"pack_cap": 16}))
    jobs.cancel(line.state, NAME)
    until(lambda: line.cluster.live(NAME) == [])
    with record(line.state, NAME) as known:
        known.wanted = True
    assert "the plan has changed" in changed.look()
    assert until(line.healthy).id != third.id

    # Another one that starts and fails, again and again, is said and not taken for one that is on its way.
    ready = kept.probe(line.state)
    lost = submit.submit(line.state, "alerting", "--parallelism", "1", "--prefix", "nowhere-")
    until(lambda: "alerting fails again and again" in why_not_ready(ready))
    line.cluster.cancel(lost)
    until(lambda: why_not_ready(ready) == "")
