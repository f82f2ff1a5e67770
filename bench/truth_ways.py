"""The ways in which `bench.truth` plays a log through the real job, and the small stack that they run on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient, NewTopic

from headwater.model import topics
from headwater.model.codec import decode, device_key, encode
from headwater.model.pack import PANE_MS, PULSE_TENANT, Aggregate, Pack, pane_of
from headwater.model.settings import JobSettings
from headwater.stack import clickhouse, flink, jars, kafka, probes, submit
from headwater.stack.cluster import Cluster
from headwater.stack.foreground import running
from headwater.stack.state import State
from headwater.truth.logfile import append
from headwater.truth.reference import Record
from headwater.truth.span import Entry, Reader

PARTITIONS = 4
JOB = "aggregation"
PATIENCE_S = 600


def wait(reached: Callable[[], bool], what: str) -> None:
    """Until `reached`. Raises `RuntimeError` with `what` if it does not come to that."""
    until = time.monotonic() + PATIENCE_S
    while not reached():
        if time.monotonic() > until:
            raise RuntimeError(f"waited {PATIENCE_S} s for {what}")
        time.sleep(0.5)


@dataclass
class Lab:
    """Kafka, a Flink cluster and a raw store of our own; `settings` are those of the job."""

    state: State
    settings: JobSettings
    reader: Reader

    @property
    def kafka(self) -> str:
        """Bootstrap servers."""
        return self.settings.kafka

    def make_topics(self, prefix: str) -> None:
        """The topics of one run, with log times as they are given and kept for ever."""
        admin = AdminClient({"bootstrap.servers": self.kafka})
        wanted = [
            NewTopic(prefix + topic.name, topic.partitions or PARTITIONS, 1, config={"retention.ms": "-1"})
            for topic in (topics.RAW, topics.DEVICE_REGISTRY, topics.PROCESSED, topics.CORRECTIONS, topics.DEAD_LETTER)
        ]
        for future in admin.create_topics(wanted).values():
            future.result(60)

    def append(self, prefix: str, log: Iterable[Record]) -> None:
        """Appends records with their log times."""
        append(self.kafka, prefix + topics.RAW.name, map(entry_of, log))

    def end(self, prefix: str, log_time: int) -> None:
        """A beat on every partition: when it has come through, everything before it has."""
        self.append(prefix, [beat(partition, log_time) for partition in range(PARTITIONS)])

    def submit(self, prefix: str, *options: str) -> str:
        """Starts the job on topics of that prefix; returns its id."""
        return submit.submit(
            self.state, JOB, "--prefix", prefix, "-D", f"pipeline.name={prefix}", "--parallelism", "2", *options
        )

    @property
    def cluster(self) -> Cluster:
        """The Flink cluster."""
        return Cluster(self.settings.flink)

    def wait_finished(self, job: str) -> None:
        """Until a bounded job has ended well. Raises `RuntimeError` if it has not."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            found = [one for one in self.cluster.jobs() if one.id == job]
            if found and found[0].state == "FINISHED":
                return
            if found and not found[0].live:
                raise RuntimeError(f"the job ended as {found[0].state}: {self.cluster.why_failed(job)}")
            time.sleep(0.5)
        raise RuntimeError(f"the job did not end within {PATIENCE_S} s")

    def wait_running(self, job: str) -> None:
        """Until all subtasks run."""
        wait(lambda: any(one.id == job and one.healthy for one in self.cluster.jobs()), "the job to run")

    def wait_rows(self, prefix: str, least: int) -> int:
        """Until more than `least` records are on processed-data; returns how many."""
        wait(lambda: self._published(prefix) > least, f"more than {least} rows")
        return self._published(prefix)

    def wait_passed(self, prefix: str, log_time: int) -> None:
        """Until the beat of `log_time` has come through every partition, and nothing more comes behind it."""
        seen: set[str] = set()
        span = self.reader.span(prefix + topics.PROCESSED.name)
        begin = dict.fromkeys(span.end, 0)

        def passed() -> bool:
            nonlocal begin
            now = self.reader.span(prefix + topics.PROCESSED.name)
            for entry in self.reader.read(type(now)(now.topic, now.log_id, begin, now.end)):
                row = decode(Aggregate, entry.value or b"")
                if row.tenant == PULSE_TENANT and row.as_of >= log_time:
                    seen.add(row.device)
            begin = dict(now.end)
            return len(seen) >= PARTITIONS

        wait(passed, "the last beat")
        before = -1
        while (published := self._published(prefix)) != before:
            before = published
            time.sleep(1.5)

    def _published(self, prefix: str) -> int:
        return sum(high for _, high in self.reader.ends(prefix + topics.PROCESSED.name).values())


def entry_of(record: Record) -> Entry:
    """The record as it is appended."""
    pack = record.pack
    return Entry(
        record.partition, record.offset, record.log_time, device_key(pack.tenant, pack.device), (), encode(pack)
    )


def beat(partition: int, log_time: int) -> Record:
    """A beat of the pulse."""
    pane = pane_of(log_time)
    device = f"{topics.RAW.name}-{partition}"
    pack = Pack(v=1, tenant=PULSE_TENANT, device=device, pane=pane, at=[log_time - pane], metrics={"beat": [1.0]})
    return Record(pack, partition, 0, log_time)


Way = Callable[[Lab, str, list[Record]], None]
"""Plays a log through the job, on the topics of a prefix, until everything is published."""


def _end_of(log: list[Record]) -> int:
    return log[-1].log_time + 1


def replay(lab: Lab, prefix: str, log: list[Record]) -> None:
    """The finished log from its beginning to its end."""
    lab.append(prefix, log)
    lab.wait_finished(lab.submit(prefix, "--bounded"))


def live(lab: Lab, prefix: str, log: list[Record]) -> None:
    """The job runs while the log is appended, in pieces."""
    job = lab.submit(prefix)
    lab.wait_running(job)
    step = max(1, len(log) // 40)
    for begin in range(0, len(log), step):
        lab.append(prefix, log[begin : begin + step])
        time.sleep(0.2)
    lab.end(prefix, _end_of(log))
    lab.wait_passed(prefix, _end_of(log))
    lab.cluster.cancel(job)


def restarted(lab: Lab, prefix: str, log: list[Record]) -> None:
    """The job goes on from a savepoint that is older than what it has published."""
    third = len(log) // 3
    job = lab.submit(prefix)
    lab.append(prefix, log[:third])
    lab.wait_rows(prefix, 100)
    folder = lab.state.part("savepoints")
    savepoint = take(lab.cluster, job, folder)
    published = lab.wait_rows(prefix, 0)
    lab.append(prefix, log[third : 2 * third])
    lab.wait_rows(prefix, published + 100)
    lab.cluster.cancel(job)
    lab.append(prefix, log[2 * third :])
    lab.end(prefix, _end_of(log))
    job = lab.submit(prefix, "--savepoint", savepoint)
    lab.wait_passed(prefix, _end_of(log))
    lab.cluster.cancel(job)


def take(cluster: Any, job: str, folder: Path) -> str:
    """A savepoint of a job that runs on; returns its path."""
    trigger = cluster._post(f"/jobs/{job}/savepoints", {"target-directory": folder.as_uri()})["request-id"]
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        found = probes.http_json(f"{cluster.url}/jobs/{job}/savepoints/{trigger}", timeout_s=5)
        if found["status"]["id"] == "COMPLETED":
            return str(found["operation"]["location"])
        time.sleep(0.3)
    raise RuntimeError("no savepoint")


def rebuilt(lab: Lab, prefix: str, log: list[Record]) -> None:
    """The job is lost in the middle, and starts again with empty state from before the panes that were open."""
    half = len(log) // 2
    job = lab.submit(prefix)
    lab.append(prefix, log[:half])
    # Up to here the lost job has come: what it published stays, and its state is gone.
    reached = log[half - 1].log_time
    lab.end(prefix, reached)
    lab.wait_passed(prefix, reached)
    lab.cluster.cancel(job)
    lab.append(prefix, log[half:])
    lab.end(prefix, _end_of(log))
    settings = lab.settings
    rewound = reached - settings.horizon_ms - PANE_MS - settings.ahead_ms
    job = lab.submit(prefix, "--start-from-ms", str(rewound))
    lab.wait_passed(prefix, _end_of(log))
    lab.cluster.cancel(job)


WAYS: dict[str, Way] = {
    "live": live,
    "replay": replay,
    "shuffled": replay,
    "restarted": restarted,
    "rebuilt": rebuilt,
}


@contextmanager
def small_stack(folder: Path, horizon_ms: int) -> Iterator[Lab]:
    """Kafka, Flink and ClickHouse on free ports, stopped at the end."""
    state = State.open(folder, {"HEADWATER_PORTS": "free"})
    os.environ |= {"HEADWATER_STATE": str(folder), "HEADWATER_HORIZON_MS": str(horizon_ms)}
    settings = JobSettings(_env_file=folder / "run.env", horizon_ms=horizon_ms, parallelism=2)
    logs = folder / "logs"
    with ExitStack() as stack:
        jars.ensure(folder)
        kafka.prepare(state)
        flink.prepare(state)
        for program in (
            kafka.program(state),
            flink.jobmanager(state),
            flink.taskmanager(state),
            clickhouse.program(state),
        ):
            stack.enter_context(running(program, logs))
        yield Lab(state, settings, stack.enter_context(Reader(settings.kafka)))
