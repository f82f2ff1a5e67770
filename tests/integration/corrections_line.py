"""The line behind the aggregation job, with the plain reference in the job's place: Kafka, stores, sink and worker."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from headwater.model import codec
from headwater.model.pack import PULSE_TENANT, Aggregate, Correction, pane_of
from headwater.model.settings import CorrectionsSettings, Settings
from headwater.model.stores import AUDIT_CAUSES, PANE_AUDIT
from headwater.model.topics import CORRECTIONS, DEAD_LETTER, DEVICE_REGISTRY, PROCESSED, RAW, Topic
from headwater.raw.client import connect
from headwater.truth.logs import LogShape, random_log
from headwater.truth.reference import Key, Record, Reference, rows_differ
from headwater.truth.registries import Said, registry_of
from headwater.workers.corrections import Worker
from headwater.workers.corrections_topic import open_consumer
from headwater.workers.ends import committed, next_offsets, reached
from headwater.workers.pulse import beat
from tests.integration.raw_store import empty, passed, put
from tests.integration.sink_processes import PATIENCE_S, Process, until
from tests.integration.sinks import fresh_database
from tests.integration.stores.postgres import PostgresStore

PARTITIONS = 2
HORIZON_MS = 60_000
SLACK_MS = 2_000
FOREVER_MS = 10**13
DAY_MS = 86_400_000
COLUMNS = ("count", "sum", "sum_sq", "min", "max", "first_ms", "last_ms", "last")


def late_log(seed: int, devices: int = 4, seconds: int = 60, hz: float = 4.0) -> list[Record]:
    """A random log in which some packs come seconds, hours or a day late; offsets as Kafka would give them."""
    shape = LogShape(devices=devices, seconds=seconds, hz=hz, horizon_ms=HORIZON_MS, partitions=PARTITIONS)
    delays = (0, 0, 0, 0, 0, 0, 3_000, 5 * 3_600_000, 20 * 3_600_000, 26 * 3_600_000)
    moved = []
    for number, record in enumerate(random_log(seed, shape, with_pulses=False)):
        delay = delays[(number * 7919 + seed) % len(delays)]
        moved.append(record._replace(log_time=record.log_time + delay))
    moved.sort(key=lambda record: record.log_time)
    offsets = [0] * PARTITIONS
    log = []
    for record in moved:
        log.append(record._replace(offset=offsets[record.partition]))
        offsets[record.partition] += 1
    return log


def folded(log: Iterable[Record], horizon_ms: int = FOREVER_MS, said: Iterable[Said] = ()) -> Reference:
    """The reference over a log and a registry; with the default horizon nothing is late."""
    reference = Reference(horizon_ms, registry=registry_of(said))
    for record in log:
        reference.take(record)
    return reference


def facts(row: Any) -> tuple[Any, ...]:
    """What readings alone determine of a row."""
    return tuple(getattr(row, name) for name in COLUMNS)


class Line:
    """Everything behind the job. `play` does what the job would do with a log."""

    def __init__(self, kafka: str, postgres: str, clickhouse: str, folder: Path) -> None:
        self.kafka, self.clickhouse, self.folder = kafka, clickhouse, folder
        self.store = PostgresStore(fresh_database(postgres))
        self.raw: Client = connect(Settings(clickhouse=clickhouse))
        empty(self.raw)
        fresh_topics(kafka)
        self.producer = Producer({"bootstrap.servers": kafka, "acks": "all", "partitioner": "murmur2_random"})
        self.started: list[subprocess.Popen[bytes]] = []
        self.logs: dict[int, Path] = {}

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
        self.raw.close()

    def sink(self) -> None:
        """Starts the sink to PostgreSQL."""
        self.started.append(Process(self.store, self.kafka, self.folder).process)

    def raw_sink(self) -> subprocess.Popen[bytes]:
        """Starts the sink to ClickHouse, which takes the place of `hold`."""
        settings = {
            "HEADWATER_KAFKA": self.kafka,
            "HEADWATER_CLICKHOUSE": self.clickhouse,
            "HEADWATER_KEEP_RAW_DAYS": "3000",
            "HEADWATER_PARTITIONS": str(PARTITIONS),
        }
        log = (self.folder / f"raw-sink-{len(self.started)}.log").open("wb")
        command = [sys.executable, "-m", "connectors.sinks.clickhouse"]
        with log:
            process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=subprocess.STDOUT)
        self.started.append(process)
        return process

    @property
    def given(self) -> dict[str, Any]:
        """Settings of the worker."""
        return {
            "kafka": self.kafka,
            "postgres": self.store.url,
            "clickhouse": self.clickhouse,
            "partitions": PARTITIONS,
            "horizon_ms": HORIZON_MS,
            "audit_slack_ms": SLACK_MS,
            "corrections_linger_ms": 100,
            "corrections_rows": 500,
        }

    def worker(self, **given: Any) -> subprocess.Popen[bytes]:
        """Starts the worker as a process."""
        settings = {f"HEADWATER_{name.upper()}": str(value) for name, value in {**self.given, **given}.items()}
        path = self.folder / f"worker-{len(self.started)}.log"
        command = [sys.executable, "-m", "headwater.workers.corrections"]
        with path.open("wb") as log:
            process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=subprocess.STDOUT)
        self.started.append(process)
        self.logs[process.pid] = path
        return process

    def ended(self, worker: subprocess.Popen[bytes]) -> int:
        """Asks a worker to end, once it is at work, and returns its exit code.

        Before that the signal may find a Python that is still importing, which it ends with the signal's number.
        """
        log = self.logs[worker.pid]
        until(lambda: "corrections.start" in log.read_text(), "the worker is at work")
        worker.terminate()
        return worker.wait(PATIENCE_S)

    @contextmanager
    def worker_here(self, **given: Any) -> Iterator[None]:
        """Runs the worker in a thread, where a test may replace parts of it."""
        stopping = threading.Event()
        worker = Worker(CorrectionsSettings(**{**self.given, **given}), stopping)
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()

    def publish(self, rows: Iterable[Aggregate]) -> None:
        for row in rows:
            self.producer.produce(PROCESSED.name, codec.encode(row), codec.row_key(row), timestamp=row.as_of)
            self.producer.poll(0)
        assert self.producer.flush(120) == 0

    def correct(self, corrections: Iterable[Correction]) -> None:
        for one in corrections:
            self.producer.produce(CORRECTIONS.name, codec.encode(one), codec.device_key(one.tenant, one.device))
            self.producer.poll(0)
        assert self.producer.flush(120) == 0

    def beat(self, log_time: int) -> None:
        """Log time has come through the job, on every partition."""
        beats = Reference(FOREVER_MS)
        for partition in range(PARTITIONS):
            pane = pane_of(log_time)
            pack = codec.Pack(
                v=1,
                tenant=PULSE_TENANT,
                device=f"{RAW.name}-{partition}",
                pane=pane,
                at=[log_time - pane],
                metrics={"beat": [1.0]},
            )
            self.publish(beats.take(Record(pack, partition, 0, log_time)))

    def say(self, said: Iterable[Said]) -> None:
        """The registry has these records, stamped with their log time."""
        for record, partition, log_time in said:
            key = codec.device_key(record.tenant, record.device)
            self.producer.produce(DEVICE_REGISTRY.name, codec.encode(record), key, partition, timestamp=log_time)
        assert self.producer.flush(120) == 0

    def pulse(self, log_time: int) -> None:
        """A beat on every partition of the raw log and of the registry."""
        for topic in (RAW, DEVICE_REGISTRY):
            for partition in range(PARTITIONS):
                key, value = beat(topic, partition, log_time)
                self.producer.produce(topic.name, value, key, partition, timestamp=log_time)
        assert self.producer.flush(120) == 0

    def append(self, log: Iterable[Record]) -> None:
        """The raw log has these records, stamped with their log time."""
        for pack, partition, _, log_time in log:
            key = codec.device_key(pack.tenant, pack.device)
            self.producer.produce(RAW.name, codec.encode(pack), key, partition, timestamp=log_time)
            self.producer.poll(0)
        assert self.producer.flush(120) == 0

    def hold(self, log: list[Record], log_time: int = 0) -> None:
        """The raw store has these records and says so, and that log time has come to `log_time`."""
        put(self.raw, log)
        self.held(log, log_time)

    def held(self, log: list[Record], log_time: int = 0) -> None:
        """The raw store says that it has these records."""
        places = {}
        log_time = max([log_time, *(record.log_time for record in log)])
        for partition in range(PARTITIONS):
            mine = [record for record in log if record.partition == partition]
            places[partition] = (mine[-1].offset + 1 if mine else 0, log_time)
        passed(self.raw, "log", places)

    def audit_from(self, minute_ms: int) -> None:
        """The audit goes on with the minute that begins then."""
        self.store.execute(
            f"insert into {PANE_AUDIT} (minute, rows) values (to_timestamp({minute_ms // 1000 - 60}), 0)"
        )

    def rows(self) -> dict[Key, Aggregate]:
        """What PostgreSQL holds."""
        with psycopg.connect(self.store.url, autocommit=True) as connection:
            found = connection.execute(
                "select tenant, device, metric, (extract(epoch from pane) * 1000)::bigint, generation, count, sum,"
                " sum_sq, min, max, first_ms, last_ms, last, as_of, received, dup from aggregate_10s"
            ).fetchall()
        names = Aggregate.__struct_fields__[1:]
        return {tuple(row[:4]): Aggregate(v=1, **dict(zip(names, row, strict=True))) for row in found}

    def audited(self) -> dict[str, int]:
        """Rows that differed, by cause, and how many minutes were audited."""
        columns = ", ".join(f"sum({cause})::bigint" for cause in AUDIT_CAUSES)
        found = self.store.query(f"select {columns}, count(*) from {PANE_AUDIT}")[0]
        return dict(zip((*AUDIT_CAUSES, "minutes"), found, strict=True))

    def audited_to(self, minute_ms: int) -> bool:
        found = self.store.query(f"select (extract(epoch from max(minute)) * 1000)::bigint from {PANE_AUDIT}")[0][0]
        return found is not None and found >= minute_ms

    def until_rows_are(self, expected: dict[Key, tuple[Any, ...]]) -> None:
        until(lambda: not differ(expected, self.rows()), "the rows of the reference")

    def stored_all(self) -> None:
        """Waits until the sink has everything that is on processed-data now."""
        ends = self.ends(PROCESSED)

        def caught_up() -> bool:
            at = dict(self.store.query('select partition, "offset" from sink_offset'))
            return all(at.get(partition, 0) >= end for partition, end in ends.items())

        until(caught_up, "the sink to catch up")

    def corrected_all(self) -> bool:
        """True once every correction that was named counts as done: the worker has committed what comes after it."""
        consumer = open_consumer(CorrectionsSettings(**self.given))
        try:
            at = {place.partition: place.offset for place in committed(consumer, CORRECTIONS)}
        finally:
            consumer.close()
        return reached(at, self.ends(CORRECTIONS))

    def ends(self, topic: Topic) -> dict[int, int]:
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "ends"})
        try:
            return next_offsets(consumer, topic)
        finally:
            consumer.close()


def differ(expected: dict[Key, tuple[Any, ...]], rows: dict[Key, Aggregate]) -> list[Any]:
    """What is wrong, the first few."""
    missing, extra, different = rows_differ(expected, {key: facts(row) for key, row in rows.items()})
    return [*missing[:3], *extra[:3], *different[:3]]


def changed(row: Aggregate, **given: Any) -> Aggregate:
    return msgspec.structs.replace(row, **given)


def fresh_topics(bootstrap: str) -> None:
    """The topics of the line, empty; raw data is stamped by the test."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    wanted = [
        (RAW.name, PARTITIONS),
        (DEVICE_REGISTRY.name, PARTITIONS),
        (PROCESSED.name, PARTITIONS),
        (CORRECTIONS.name, PARTITIONS),
        (DEAD_LETTER.name, 1),
    ]
    present = admin.list_topics(timeout=60).topics
    old = [name for name, _ in wanted if name in present]
    for future in (admin.delete_topics(old) if old else {}).values():
        future.result(60)
    config = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
    for name, partitions in wanted:
        limit = time.monotonic() + 60
        while True:
            try:
                admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(60)
                break
            except KafkaException:  # the old one is still being deleted
                assert time.monotonic() < limit
                time.sleep(0.2)
