"""Controls: the proofs of this folder against what ours must never be. Each must find the loss, or proves nothing."""

import random
import re
import signal
import time
import uuid
from contextlib import suppress
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, TopicMetadata

from connectors.sinks.base import Sink
from tests.integration.mqtt_line import eventually, line, readings
from tests.integration.sinks import fresh_database, opened, row
from tests.integration.stores import Store
from tests.integration.stores.postgres import PostgresStore
from tests.integration.stores.valkey import ValkeyStore
from tests.integration.test_doors_under_stress import OwnKafka
from tests.integration.three_kafkas import ThreeKafkas


@pytest.mark.parametrize("bridge", ["connectors.doors.mqtt", "tests.integration.early_bridge"])
def test_a_bridge_that_acknowledges_before_the_report_loses_readings(tmp_path: Path, postgres: str, bridge: str):
    kafka = OwnKafka(tmp_path / "kafka")
    kafka.start()
    try:
        with line(tmp_path / "line", kafka.url, postgres) as up:
            up.bridge = bridge
            up.up()
            client = up.device("d")
            kafka.freeze()
            first = time.time_ns() // 1_000_000 - 600_000
            for number in range(300):
                stamp = first + number
                client.publish(orjson.dumps({"ts": stamp, "values": {"n": stamp}}), ("d", "n", stamp))
            eventually(lambda: not client.unacknowledged(), "the broker has acknowledged all")
            if "early" in bridge:
                taken = lambda: (up.metric("headwater_door_acknowledged_total") or 0) >= 300  # noqa: E731
                eventually(taken, "the bridge has acknowledged all")
            else:
                eventually(lambda: up.metric("headwater_broker_queued"), "they wait in the broker")
            up.kill("bridge")
            kafka.thaw()
            up.bridge = "connectors.doors.mqtt"
            up.start("bridge")
            eventually(lambda: up.metric("headwater_broker_queued") == 0, "the bridge has acknowledged all")
            lost = client.acknowledged - readings(up.all_packs()).keys()
            client.close()
    finally:
        kafka.end()
    assert bool(lost) == ("early" in bridge)


@pytest.fixture(params=["postgres", "valkey"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "postgres":
        return PostgresStore(fresh_database(request.getfixturevalue("postgres")))
    return ValkeyStore(request.getfixturevalue("valkey"))


def without_versions(sink: Sink) -> None:
    """Takes the rule of versions out of a connected sink: the last to come is what the store holds."""
    if hasattr(sink, "_upsert"):
        sink._upsert = re.sub(r"\(excluded\.generation, excluded\.count, .*?\) >= \(.*?\)", "true", sink._upsert)
        assert ">=" not in sink._upsert
    else:
        script = (Path(__file__).parents[2] / "connectors" / "sinks" / "latest.lua").read_text()
        blind = script.replace("if row[name] < held[name] then return false end", "")
        assert blind != script
        sink._script["latest"] = sink._client.script_load(blind)


@pytest.mark.parametrize("versions", [True, False])
def test_a_sink_without_versions_lets_a_replay_move_rows_backwards(store: Store, versions: bool):
    tenant = f"t{uuid.uuid4().hex[:8]}"
    partials = [row(tenant, "d", count=count, last=float(count)) for count in range(1, 20)]
    dice = random.Random(5)
    with opened(store) as sink:
        sink.positions()
        if not versions:
            without_versions(sink)
        for each in [*partials, *dice.sample(partials[:-1], len(partials) - 1)]:
            sink.write([each], {0: 1})
            sink.flush()
    held = next(iter(store.rows(tenant).values()))
    assert (held == (1, 19, 19.0)) is versions


ACKS = {"every": "all", "one": "1"}


def test_one_acknowledgement_loses_records_when_the_leader_dies_and_its_follower_had_stopped(tmp_path: Path):
    """`acks=all` with two replicas in sync (what the doors ask for, on a cluster) keeps what it has acknowledged."""
    cluster = ThreeKafkas(tmp_path)
    cluster.start()
    try:
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
        config = {"min.insync.replicas": "2", "unclean.leader.election.enable": "false"}
        topics = [NewTopic(name, 1, replica_assignment=[[1, 2]], config=config) for name in ACKS]
        for made in admin.create_topics(topics).values():
            made.result(30)
        acknowledged = {name: Acknowledged(cluster.bootstrap, name, acks) for name, acks in ACKS.items()}
        for each in acknowledged.values():
            each.send(range(10))
            assert each.producer.flush(120) == 0
        cluster.processes[2].send_signal(signal.SIGSTOP)
        for each in acknowledged.values():
            each.send(range(10, 200))
        assert acknowledged["one"].producer.flush(60) == 0
        acknowledged["every"].producer.flush(1)
        cluster.processes[1].kill()
        cluster.processes[1].wait()
        cluster.processes[2].send_signal(signal.SIGCONT)
        promised = {name: set(each.numbers) for name, each in acknowledged.items()}
        eventually(lambda: leaders(admin) == dict.fromkeys(ACKS, 2), "the follower leads")
        cluster.restart(1)
        eventually(lambda: replicas(admin) == {name: {1, 2} for name in ACKS}, "the old leader follows")
        lost = {name: promised[name] - values(cluster.bootstrap, name) for name in ACKS}
    finally:
        cluster.end()
    assert not lost["every"]
    assert lost["one"]


class Acknowledged:
    """A producer, and the numbers of which it was told that they are stored."""

    def __init__(self, bootstrap: str, topic: str, acks: str) -> None:
        self._topic = topic
        self.numbers: set[int] = set()
        self.producer = Producer({"bootstrap.servers": bootstrap, "acks": acks, "linger.ms": 0, "retries": 0})

    def send(self, numbers: range) -> None:
        for number in numbers:
            self.producer.produce(self._topic, str(number).encode(), on_delivery=self._report(number))

    def _report(self, number: int):
        return lambda error, _message: None if error else self.numbers.add(number)


def described(admin: AdminClient) -> dict[str, TopicMetadata]:
    """What the cluster says of the topics; nothing while nobody answers."""
    with suppress(KafkaException):
        found = admin.list_topics(timeout=60).topics
        return {name: found[name] for name in ACKS}
    return {}


def leaders(admin: AdminClient) -> dict[str, int]:
    found = described(admin)
    return {name: one.partitions[0].leader for name, one in found.items()}


def replicas(admin: AdminClient) -> dict[str, set[int]]:
    found = described(admin)
    return {name: set(one.partitions[0].isrs) for name, one in found.items()}


def values(bootstrap: str, topic: str) -> set[int]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "t", "enable.auto.commit": False})
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), 30)
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[int] = []
    while len(found) < end:
        found += [int(message.value()) for message in consumer.consume(1_000, 2) if not message.error()]
    consumer.close()
    return set(found)
