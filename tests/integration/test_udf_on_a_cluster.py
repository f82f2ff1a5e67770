"""How the code of a job reaches a session cluster: in a wheel, whatever the working directory holds."""

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

from headwater.model import topics
from headwater.model.codec import decode, encode
from headwater.model.errors import BadRecord
from headwater.model.pack import Aggregate, Pack, pane_of
from headwater.model.settings import Settings, project_folder
from headwater.stack import flink, jars, submit
from headwater.stack.foreground import running
from headwater.stack.state import State
from headwater.stack.topics import create_all

# A client plans for half a minute of CPU; a busy machine makes minutes of that.
UDF_JOB = Path(__file__).parent / "udf_job.py"


@pytest.fixture(scope="module")
def cluster(stack_state: State, tmp_path_factory: pytest.TempPathFactory) -> Iterator[State]:
    """A session cluster that was started in an empty directory."""
    jars.ensure(stack_state.folder, "flink")
    flink.prepare(stack_state)
    logs, empty = stack_state.folder / "logs", tmp_path_factory.mktemp("empty")
    # A worker looks into its working directory first: from the checkout it would find other code than was shipped.
    programs = [replace(one(stack_state), folder=empty) for one in (flink.jobmanager, flink.taskmanager)]
    with running(programs[0], logs), running(programs[1], logs):
        yield stack_state


def flink_run(cluster: State, folder: Path, *arguments: str, **extra: str) -> str:
    """What `flink run` says, started in `folder`."""
    environment = {**os.environ, **flink.environment(cluster), **extra}
    environment.pop("PYTHONPATH", None)
    command = [str(flink.home(cluster) / "bin" / "flink"), "run", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[:2_000]
    return done.stdout


def test_a_function_that_imports_our_package_runs_from_an_empty_directory(cluster: State, tmp_path: Path):
    out = flink_run(cluster, tmp_path, "-py", str(UDF_JOB), "-pyfs", str(submit.wheel(cluster)))
    assert "converted=100.0" in out
    # An editable install could answer too, until the checkout is gone: the worker must have the shipped code.
    assert str(project_folder()) not in out.split("whence=")[1].splitlines()[0]


def test_the_aggregation_job_runs_unchanged_by_flink_run(cluster: State, kafka: str, tmp_path: Path):
    create_all(Settings(kafka=kafka))
    run = project_folder() / "jobs" / "run.py"
    shipped = ("-pyfs", str(submit.wheel(cluster)))
    out = flink_run(cluster, tmp_path, "-d", "-py", str(run), *shipped, "aggregation", HEADWATER_KAFKA=kafka)
    job = out.split("job-id: ")[1].split()[0]
    try:
        pane = pane_of(time.time_ns() // 1_000_000)
        pack = Pack(v=1, tenant="cluster", device="d", pane=pane, at=[1, 2], metrics={"a": [1.0, 2.5]})
        producer = Producer({"bootstrap.servers": kafka})
        producer.produce(topics.RAW.name, key=b"cluster/d", value=encode(pack))
        assert producer.flush(120) == 0
        row = first_row(kafka, "cluster")
        assert (row.count, row.sum, row.last, row.pane) == (2, 3.5, 2.5, pane)
    finally:
        request = urllib.request.Request(f"{cluster.url('flink')}/jobs/{job}?mode=cancel", method="PATCH")
        urllib.request.urlopen(request, timeout=30).close()
    with urllib.request.urlopen(f"{cluster.url('flink')}/jobs/{job}", timeout=30) as answer:
        assert json.load(answer)["name"] == "aggregation"


def first_row(kafka: str, tenant: str) -> Aggregate:
    """The first row of a tenant on processed-data."""
    settings = {"bootstrap.servers": kafka, "group.id": "tests", "auto.offset.reset": "earliest"}
    consumer = Consumer(settings)
    consumer.subscribe([topics.PROCESSED.name])
    until = time.monotonic() + 300
    try:
        while time.monotonic() < until:
            message = consumer.poll(0.5)
            if message is not None and message.error() is None:
                # Other tests write broken records here on purpose, and records without a value.
                with suppress(BadRecord):
                    row = decode(Aggregate, message.value() or b"")
                    if row.tenant == tenant:
                        return row
    finally:
        consumer.close()
    raise AssertionError("no row within 300 s")
