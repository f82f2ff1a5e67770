"""How fast the aggregation job is, beside what a sceptic would write: one Python loop with orjson and a dict.

    .venv/jobs-test/bin/python -m bench.aggregation            # about two minutes, starts a Kafka of its own
    .venv/jobs-test/bin/python -m bench.aggregation --kafka 127.0.0.1:9092 --large 12

Both read the same topic and must give the same rows before any rate is printed. "Net" is the slope between a small and
a large log after a warm-up: what a running job does, without its start. CPU is that of the process alone, not of Kafka.
Wants the environment of the jobs, not that of the app.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from headwater.model import topics
from headwater.model.fleet import is_fleet
from headwater.model.pack import PANE_MS
from headwater.model.settings import JobSettings
from headwater.truth.reference import Expected, Key, rows_differ
from jobs import aggregation
from jobs.environment import open_tables, options
from jobs.statements import Log

START_MS = 1_760_000_000_000
PARTITIONS = 2
DEVICES = 1_000
STAMPS = 10
METRICS = ("humidity", "temperature")
READINGS = STAMPS * len(METRICS)


@contextmanager
def own_servers(kafka: str | None) -> Iterator[str]:
    """A Kafka of its own unless one is given, and FLINK_HOME with our jars; yields the bootstrap servers."""
    from headwater.stack import flink, jars, places
    from headwater.stack import kafka as broker
    from headwater.stack.foreground import running
    from headwater.stack.state import State

    with tempfile.TemporaryDirectory() as folder:
        state = State.open(Path(folder), {"HEADWATER_PORTS": "free"})
        jars.ensure(state.folder, "flink")
        flink.prepare(state)
        os.environ |= {"FLINK_HOME": str(flink.home(state)), "JAVA_HOME": str(places.java_home())}
        os.environ["JVM_ARGS"] = "-Xmx2g -XX:+UseParallelGC"
        if kafka:
            yield kafka
            return
        jars.ensure(state.folder, "kafka")
        broker.prepare(state)
        with running(broker.program(state), state.folder / "logs"):
            yield state.url("kafka")


def packs(count: int) -> Iterator[tuple[int, bytes, int]]:
    """(partition, value, log time): 10 Hz, two metrics, 1 s a pack; 5 % come again, 1 % cut differently."""
    for number in range(count):
        device, second = number % DEVICES, number // DEVICES
        ts = START_MS + second * 1_000
        yield device % PARTITIONS, pack(device, ts, 0), ts + 1_500
        if number % 20 == 7:
            yield device % PARTITIONS, pack(device, ts, 0), ts + 1_600
        if number % 100 == 9 and second % 10 < 9:
            yield device % PARTITIONS, pack(device, ts, 50), ts + 1_700


def pack(device: int, ts: int, shift: int) -> bytes:
    """One pack; a shift makes other stamps and other values of half of them, so that it overlaps in part."""
    pane = ts - ts % PANE_MS
    first = ts - pane
    at = [first + 100 * i + (shift if i % 2 else 0) for i in range(STAMPS)]
    values = [round(20 + device % 7 + i * 0.25 + shift, 2) for i in range(STAMPS)]
    record = {"v": 1, "tenant": f"t{device % 4}", "device": f"d{device:04d}", "pane": pane, "at": at}
    return orjson.dumps({**record, "metrics": dict.fromkeys(METRICS, values), "received": ts + 1_200})


def said(device: int) -> bytes:
    """What the registry says of a device: one of ten sites and of three models."""
    known = {"tenant": f"t{device % 4}", "device": f"d{device:04d}", "version": 1}
    return orjson.dumps({**known, "site": f"s{device % 10}", "model": f"m{device % 3}", "metrics": {}, "tags": []})


def fill(bootstrap: str, prefix: str, count: int) -> int:
    """Makes the topics and appends `count` packs and their copies; returns the readings in them."""
    wanted = [
        NewTopic(
            prefix + topic.name, PARTITIONS, 1, config={"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
        )
        for topic in (topics.RAW, topics.DEVICE_REGISTRY, topics.PROCESSED, topics.CORRECTIONS, topics.DEAD_LETTER)
    ]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics(wanted).values():
        future.result(30)
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
    records = 0
    for partition, value, log_time in packs(count):
        producer.produce(prefix + topics.RAW.name, value=value, partition=partition, timestamp=log_time)
        records += 1
        if records % 10_000 == 0:
            producer.poll(0)
    for device in range(DEVICES):
        producer.produce(
            prefix + topics.DEVICE_REGISTRY.name, said(device), partition=device % PARTITIONS, timestamp=START_MS
        )
    producer.flush(60)
    return records * READINGS


def consumed(bootstrap: str, topic: str) -> Iterator[bytes]:
    """Every value of `topic` as it stands now."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench", "enable.auto.commit": False})
    for number in range(PARTITIONS):
        position, end = consumer.get_watermark_offsets(TopicPartition(topic, number), 30)
        consumer.assign([TopicPartition(topic, number, position)])
        while position < end:
            for message in consumer.consume(5_000, 0.5):
                yield message.value()
                position = message.offset() + 1
    consumer.close()


@dataclass
class Row:
    """A row as the loop keeps it."""

    stamps: set[int] = field(default_factory=set)
    sum: float = 0.0
    sum_sq: float = 0.0
    min: float = float("inf")
    max: float = float("-inf")
    last_at: int = -1
    last: float = 0.0


def python_loop(values: Iterator[bytes]) -> dict[Key, Row]:
    """The same dedup and the same sums, as one writes them by hand."""
    rows: dict[Key, Row] = {}
    for value in values:
        record = orjson.loads(value)
        for metric, numbers in record["metrics"].items():
            key = (record["tenant"], record["device"], metric, record["pane"])
            row = rows.get(key)
            if row is None:
                row = rows[key] = Row()
            for at, number in zip(record["at"], numbers, strict=True):
                if at in row.stamps:
                    continue
                row.stamps.add(at)
                row.sum += number
                row.sum_sq += number * number
                row.min = min(row.min, number)
                row.max = max(row.max, number)
                if at > row.last_at:
                    row.last_at, row.last = at, number
    return rows


def expected(rows: dict[Key, Row]) -> dict[Key, Expected]:
    """The rows of the loop in the form of the reference."""
    return {
        key: Expected(
            len(row.stamps), row.sum, row.sum_sq, row.min, row.max,
            key[3] + min(row.stamps), key[3] + max(row.stamps), row.last,
        )
        for key, row in rows.items()
    }  # fmt: skip


def published(bootstrap: str, prefix: str) -> dict[Key, Expected]:
    """The newest version of each row of devices that the job published."""
    rows: dict[Key, Expected] = {}
    for value in consumed(bootstrap, prefix + topics.PROCESSED.name):
        record = orjson.loads(value)
        if is_fleet(record["device"]):
            continue
        key = (record["tenant"], record["device"], record["metric"], record["pane"])
        row = Expected(*(record[name] for name in Expected._fields))
        if key not in rows or row.count >= rows[key].count:
            rows[key] = row
    return rows


def child_cpu() -> float:
    """CPU seconds of the JVM that PyFlink started (all children of this process)."""
    total = 0.0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(words[1]) == os.getpid():
            total += (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return total


def timed(work: Callable[[], Any], cpu: Callable[[], float]) -> tuple[float, float]:
    """(wall seconds, CPU seconds) of `work`."""
    wall, used = time.monotonic(), cpu()
    work()
    return time.monotonic() - wall, cpu() - used


def run_job(bootstrap: str, prefix: str, backend: str) -> None:
    """The real job over the log as it is, in the JVM of this process."""
    settings = JobSettings(kafka=bootstrap, parallelism=PARTITIONS)
    tables = open_tables({**options(settings), "execution.target": "local", "state.backend.type": backend})
    aggregation.build(tables, settings, Log(prefix, bounded=True)).execute().wait()


def measure(bootstrap: str, small: int, large: int, backend: str) -> dict[str, Any]:
    """Warm-up with the equality check, then both logs by both; see the module's docstring."""
    tag = f"bench{os.getpid()}"
    readings = {name: fill(bootstrap, f"{tag}-{name}-", count) for name, count in (("small", small), ("large", large))}
    raw = {name: f"{tag}-{name}-{topics.RAW.name}" for name in readings}
    run_job(bootstrap, f"{tag}-small-", backend)
    wanted = expected(python_loop(consumed(bootstrap, raw["small"])))
    missing, extra, different = rows_differ(wanted, published(bootstrap, f"{tag}-small-"))
    if missing or extra or different:
        raise SystemExit(f"not equal: {len(missing)} missing, {len(extra)} extra, {different[:2]} different")
    job = {
        name: timed(lambda name=name: run_job(bootstrap, f"{tag}-{name}-", backend), child_cpu)  # type: ignore[misc]
        for name in readings
    }
    loop = timed(lambda: python_loop(consumed(bootstrap, raw["large"])), time.process_time)
    more = readings["large"] - readings["small"]
    net = more / (job["large"][0] - job["small"][0])
    python = readings["large"] / loop[0]
    return {
        "rows_equal": len(wanted),
        "readings": readings,
        "job_seconds": {name: round(wall, 1) for name, (wall, _) in job.items()},
        "job_net_readings_per_s": round(net),
        "job_cpu_s_per_million": round((job["large"][1] - job["small"][1]) / more * 1e6, 2),
        "python_readings_per_s": round(python),
        "python_cpu_s_per_million": round(loop[1] / readings["large"] * 1e6, 2),
        "ratio": round(net / python, 2),
        "load_average": os.getloadavg()[0],
    }


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka", help="bootstrap servers of a running Kafka (default: one of its own)")
    parser.add_argument("--small", type=float, default=1, help="millions of readings of the small log")
    parser.add_argument("--large", type=float, default=8, help="millions of readings of the large log")
    parser.add_argument("--backend", default="rocksdb", choices=("rocksdb", "hashmap"))
    given = parser.parse_args()
    counts = [int(millions * 1e6 / READINGS) for millions in (given.small, given.large)]
    with own_servers(given.kafka) as bootstrap:
        print(json.dumps(measure(bootstrap, *counts, given.backend), indent=2), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
