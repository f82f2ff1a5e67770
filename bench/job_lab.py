"""What the long runs of the alerting and the enrichment job share: a small stack, and a restart or kill in the middle.

A job of theirs reads packs and control topics, and writes one topic. What it must say of a log, each knows itself.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # exports are not marked

from bench.truth_ways import PARTITIONS, take, wait
from headwater.model import topics
from headwater.model.settings import JobSettings
from headwater.stack import flink, foreground, jars, kafka, submit
from headwater.stack.cluster import Cluster
from headwater.stack.rewind import RawLog
from headwater.stack.state import State
from headwater.truth.alert_logs import Entry, beats, merged, with_beats
from headwater.truth.logfile import append
from headwater.truth.span import Entry as Stored
from headwater.truth.span import Reader

WAYS = ("restarted", "killed")
BEAT = b'{"v":1,"tenant":"_pulse","beat":0}'
CHECKPOINT_S = 2


@dataclass(frozen=True)
class Under:
    """The job under test. `packs_first`: packs are appended before what is said of their devices, so it must wait."""

    job: str
    control: tuple[topics.Topic, ...]
    output: topics.Topic
    packs_first: bool = False

    @property
    def reads(self) -> tuple[topics.Topic, ...]:
        """All that it reads."""
        return (topics.RAW, *self.control)


@dataclass
class Lab:
    """Kafka and a Flink cluster of our own."""

    under: Under
    state: State
    settings: JobSettings
    reader: Reader
    taskmanager: subprocess.Popen[bytes]

    @property
    def cluster(self) -> Cluster:
        """The Flink cluster."""
        return Cluster(self.settings.flink)

    def make_topics(self, prefix: str) -> None:
        """The topics of one run, stamped as given and kept for ever."""
        config = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
        names = [topic.name for topic in (*self.under.reads, self.under.output)]
        admin = AdminClient({"bootstrap.servers": self.settings.kafka})
        for made in admin.create_topics(
            [NewTopic(prefix + name, PARTITIONS, 1, config=config) for name in names]
        ).values():
            made.result(60)

    def append(self, prefix: str, log: Iterable[Entry]) -> None:
        """Appends records, of each topic in its order."""
        by_topic: dict[str, list[Stored]] = {}
        for number, (log_time, topic, partition, key, record) in enumerate(log):
            value = BEAT if record is None else msgspec.json.encode(record)
            by_topic.setdefault(topic.name, []).append(Stored(partition, number, log_time, key, (), value))
        # What judges comes first, as it does where it counts half a second later; elsewhere the packs may.
        for name in sorted(by_topic, key=lambda name: (name == topics.RAW.name) is not self.under.packs_first):
            append(self.settings.kafka, prefix + name, by_topic[name])

    def submit(self, prefix: str, *options: str) -> str:
        """Starts the job on topics of that prefix; returns its id when all of it runs."""
        interval = f"execution.checkpointing.interval={CHECKPOINT_S} s"
        given = ("--prefix", prefix, "-D", f"pipeline.name={prefix}", "-D", interval, "--parallelism", "2", *options)
        job = submit.submit(self.state, self.under.job, *given)
        wait(lambda: any(one.id == job and one.healthy for one in self.cluster.jobs()), "the job to run")
        return job

    def kill_taskmanager(self) -> None:
        """SIGKILL, and another one takes its place."""
        os.killpg(self.taskmanager.pid, signal.SIGKILL)
        self.taskmanager.wait()
        program, logs = flink.taskmanager(self.state), self.state.folder / "logs"
        self.taskmanager = foreground.start(program, logs)
        foreground.wait_ready(program, self.taskmanager, logs)

    def read_all(self, prefix: str) -> bool:
        """Whether a checkpoint says that all was read: a job whose TaskManager was killed still counts as healthy."""
        log = RawLog(self.settings, f"{prefix}headwater-{self.under.job}")
        names = [prefix + topic.name for topic in self.under.reads]
        return all(log.committed(name) == {p: end for p, end in log.ends(name).items() if end} for name in names)

    def said(self, prefix: str) -> list[Stored]:
        """All that the job has written, with repeats."""
        return list(self.reader.read(self.reader.span(prefix + self.under.output.name)))

    def records(self, prefix: str) -> int:
        """How many records that is."""
        return self.reader.span(prefix + self.under.output.name).records


@contextmanager
def small_stack(folder: Path, under: Under) -> Iterator[Lab]:
    """Kafka and Flink on free ports, stopped at the end."""
    state, logs = State.open(folder, {"HEADWATER_PORTS": "free"}), folder / "logs"
    os.environ |= {"HEADWATER_STATE": str(folder), "HEADWATER_PARTITIONS": str(PARTITIONS)}
    settings = JobSettings(_env_file=folder / "run.env", parallelism=2)
    jars.ensure(folder)
    kafka.prepare(state)
    flink.prepare(state)
    with ExitStack() as stack:
        for program in (kafka.program(state), flink.jobmanager(state)):
            stack.enter_context(foreground.running(program, logs))
        program = flink.taskmanager(state)
        reader = stack.enter_context(Reader(settings.kafka))
        lab = Lab(under, state, settings, reader, foreground.start(program, logs))
        stack.callback(lambda: foreground.stop(program, lab.taskmanager))
        foreground.wait_ready(program, lab.taskmanager, logs)
        yield lab


def play(lab: Lab, log: list[Entry], prefix: str, how: str) -> None:
    """Plays a log through the job, which in the middle is restarted from an older savepoint, or killed (`WAYS`)."""
    lab.make_topics(prefix)
    third, control = len(log) // 3, lab.under.control
    job = lab.submit(prefix)
    lab.append(prefix, with_beats(log[:third], PARTITIONS, control))
    wait(lambda: lab.records(prefix) > 100, "what the job says first")
    place = take(lab.cluster, job, lab.state.part("savepoints")) if how == "restarted" else ""
    said = lab.records(prefix)
    lab.append(prefix, with_beats(log[third : 2 * third], PARTITIONS, control))
    wait(lambda: lab.records(prefix) > said + 100, "more of it")
    if how == "killed":
        lab.kill_taskmanager()
        lab.append(prefix, with_beats(log[2 * third :], PARTITIONS, control))
    else:
        lab.cluster.cancel(job)
        lab.append(prefix, with_beats(log[2 * third :], PARTITIONS, control))
        job = lab.submit(prefix, "--savepoint", place)
    lab.append(prefix, beats(lab.under.reads, end_of(log), PARTITIONS))
    wait(lambda: lab.read_all(prefix), "the job to have read everything")
    before = -1
    while (now := lab.records(prefix)) != before:
        before = now
        time.sleep(3 * CHECKPOINT_S)
    lab.cluster.cancel(job)


def end_of(log: list[Entry]) -> int:
    """Up to where log time goes in a run (epoch ms), a while after its last record."""
    return log[-1].log_time + 5_000


@dataclass(frozen=True)
class Round:
    """Some logs as one, played under a prefix, with a restart or a kill in its middle. `begun`: monotonic seconds."""

    names: list[str]
    log: list[Entry]
    how: str
    prefix: str
    begun: float


def rounds(
    lab: Lab, logs: int, seed: int, batch: int, random_log: Callable[[int, str, int], list[Entry]]
) -> Iterator[Round]:
    """Plays `logs` logs, `batch` at a time, and gives each such round when it has been played."""
    for number, first in enumerate(range(0, logs, batch)):
        names = [f"log{one:05d}" for one in range(first, min(first + batch, logs))]
        log = merged(random_log(seed * 1_000_003 + int(one[3:]), one, PARTITIONS) for one in names)
        how, begun = WAYS[number % len(WAYS)], time.monotonic()
        prefix = f"{how}-{uuid.uuid4().hex[:6]}-"
        play(lab, log, prefix, how)
        yield Round(names, log, how, prefix, begun)


def asked(about: str | None) -> argparse.Namespace:
    """The command line of a long run, with `about` as its help: `logs` and `seed`."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()
