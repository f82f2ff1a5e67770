"""Random logs through the real alerting job, with restarts and kills in between, and the evaluator's alerts each time.

    python -m bench.alert_truth --logs 200 --seed 1

Each log is a tenant of its own (`headwater.truth.alert_logs`): packs with disorder and pauses, rules and devices edited
at any time. Twenty go through one job at a time, on one Kafka and one Flink cluster (RocksDB, Python in thread mode)
started for this. In the middle the job goes on from a savepoint that is older than what it has said, or its TaskManager
gets SIGKILL; which of them is by turns. The alerts must be those of the evaluator over the sorted log: 0 missing, 0
extra. The control (an edit of a rule that has an effect is kept from the evaluator) must be found in exactly its log.
Exit code 1 if not.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # exports are not marked

from bench.truth_ways import PARTITIONS, take, wait
from headwater.model import codec, topics
from headwater.model.alert import AlertEvent
from headwater.model.rule import Rule
from headwater.model.settings import JobSettings
from headwater.stack import flink, foreground, jars, kafka, submit
from headwater.stack.cluster import Cluster
from headwater.stack.rewind import RawLog
from headwater.stack.state import State
from headwater.truth.alert_logs import CONTROL, Entry, beats, expected, merged, random_log, with_beats
from headwater.truth.logfile import append
from headwater.truth.span import Entry as Stored
from headwater.truth.span import Reader

BATCH = 20
BEAT = b'{"v":1,"tenant":"_pulse","beat":0}'
CHECKPOINT_S = 2


@dataclass
class Lab:
    """Kafka and a Flink cluster of our own."""

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
        names = [topic.name for topic in (topics.RAW, *CONTROL, topics.ALERTS)]
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
        # What judges comes first, as it does where it counts half a second later.
        for name in sorted(by_topic, key=lambda name: name == topics.RAW.name):
            append(self.settings.kafka, prefix + name, by_topic[name])

    def submit(self, prefix: str, *options: str) -> str:
        """Starts the job on topics of that prefix; returns its id when all of it runs."""
        interval = f"execution.checkpointing.interval={CHECKPOINT_S} s"
        given = ("--prefix", prefix, "-D", f"pipeline.name={prefix}", "-D", interval, "--parallelism", "2", *options)
        job = submit.submit(self.state, "alerting", *given)
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
        log = RawLog(self.settings, f"{prefix}headwater-alerting")
        names = [prefix + topic.name for topic in (topics.RAW, *CONTROL)]
        return all(log.committed(name) == {p: end for p, end in log.ends(name).items() if end} for name in names)

    def said(self, prefix: str) -> tuple[set[AlertEvent], int]:
        """(every event, how many records said them)."""
        entries = list(self.reader.read(self.reader.span(prefix + topics.ALERTS.name)))
        return {codec.decode(AlertEvent, entry.value or b"") for entry in entries}, len(entries)


@contextmanager
def small_stack(folder: Path) -> Iterator[Lab]:
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
        lab = Lab(state, settings, stack.enter_context(Reader(settings.kafka)), foreground.start(program, logs))
        stack.callback(lambda: foreground.stop(program, lab.taskmanager))
        foreground.wait_ready(program, lab.taskmanager, logs)
        yield lab


def play(lab: Lab, log: list[Entry], prefix: str, how: str) -> None:
    """Plays a log through the job, which is restarted or killed in the middle."""
    lab.make_topics(prefix)
    third = len(log) // 3
    job = lab.submit(prefix)
    lab.append(prefix, with_beats(log[:third], PARTITIONS))
    wait(lambda: lab.said(prefix)[1] > 100, "the first alerts")
    place = take(lab.cluster, job, lab.state.part("savepoints")) if how == "restarted" else ""
    said = lab.said(prefix)[1]
    lab.append(prefix, with_beats(log[third : 2 * third], PARTITIONS))
    wait(lambda: lab.said(prefix)[1] > said + 100, "more alerts")
    if how == "killed":
        lab.kill_taskmanager()
        lab.append(prefix, with_beats(log[2 * third :], PARTITIONS))
    else:
        lab.cluster.cancel(job)
        lab.append(prefix, with_beats(log[2 * third :], PARTITIONS))
        job = lab.submit(prefix, "--savepoint", place)
    lab.append(prefix, beats((topics.RAW, *CONTROL), end_of(log), PARTITIONS))
    wait(lambda: lab.read_all(prefix), "the job to have read everything")
    before = -1
    while (now := lab.said(prefix)[1]) != before:
        before = now
        time.sleep(3 * CHECKPOINT_S)
    lab.cluster.cancel(job)


def end_of(log: list[Entry]) -> int:
    """Up to where log time goes in a run (epoch ms), a while after its last record."""
    return log[-1].log_time + 5_000


def harmed(log: list[Entry], until: int, delay_ms: int) -> tuple[str, set[AlertEvent]]:
    """The control: the first edit of a rule without which alerts are others; its tenant, and the events that differ.

    Edits without any effect are passed over: no comparison could find that they are missing.
    """
    for edit in log:
        if isinstance(edit.record, Rule) and edit.record.version > 1:
            tenant = edit.record.tenant
            own = [entry for entry in log if entry.record is not None and entry.record.tenant == tenant]
            less = [entry for entry in own if entry is not edit]
            if harm := set(expected(own, until, delay_ms)) ^ set(expected(less, until, delay_ms)):
                return tenant, harm
    raise ValueError("no edit of a rule in this log has an effect")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    good, events, found_controls = True, 0, 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headwater-alerts-")))
        lab = stack.enter_context(small_stack(folder))
        for number, first in enumerate(range(0, given.logs, BATCH)):
            names = [f"log{one:05d}" for one in range(first, min(first + BATCH, given.logs))]
            log = merged(random_log(given.seed * 1_000_003 + int(one[3:]), one, PARTITIONS) for one in names)
            how, begun = ("restarted", "killed")[number % 2], time.monotonic()
            prefix = f"{how}-{uuid.uuid4().hex[:6]}-"
            play(lab, log, prefix, how)
            until, delay_ms = end_of(log) - 1, lab.settings.rules_delay_ms
            wanted, (said, records) = set(expected(log, until, delay_ms)), lab.said(prefix)
            tenant, harm = harmed(log, until, delay_ms)
            found = {event.tenant for event in (wanted ^ harm) ^ said} == {tenant}
            missing, extra = wanted - said, said - wanted
            good, events = good and not missing and not extra and found, events + len(wanted)
            found_controls += found
            report = {
                "logs": len(names),
                "how": how,
                "records": len(log),
                "events": len(wanted),
                "repeats": records - len(said),
                "missing": len(missing),
                "extra": len(extra),
                "control_found": found,
                "seconds": round(time.monotonic() - begun, 1),
                "examples": [str(one) for one in (*missing, *extra)][:4],
            }
            print(json.dumps(report), flush=True)
    print(f"{'good' if good else 'BAD'}: {given.logs} logs, {events:,} events; {found_controls} controls found")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
