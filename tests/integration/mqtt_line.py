"""The MQTT part of the line as real processes: broker and bridge on free ports, and clients that remember PUBACKs."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import paho.mqtt.client as paho
import psycopg
from confluent_kafka import Consumer, TopicPartition
from paho.mqtt.enums import CallbackAPIVersion

from headwater import registry
from headwater.model import codec
from headwater.model.pack import DeadLetter, Pack
from headwater.model.settings import Settings
from headwater.model.topics import DEAD_LETTER, RAW
from headwater.stack import jars, migrate
from headwater.stack.ports import free_port
from headwater.stack.topics import create_all

PATIENCE_S = 120
SLOW = "Server unavailable"
"""What the broker says while PostgreSQL takes longer than a CONNECT may."""
QUOTA = "Quota exceeded"
CUT = "Unspecified error"
"""What the client's library says if it wrote to a connection before it had read why that was ended."""


def eventually(check: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """The first truthy answer of `check`; fails with `what` when patience ends."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        if answer := check():
            return answer
        time.sleep(0.1)
    raise AssertionError(f"did not happen within {patience_s} s: {what}")


@dataclass
class Line:
    """Broker and bridge, started and killed by hand."""

    folder: Path
    kafka: str
    postgres: str
    env: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    broker_metrics: int = field(default_factory=free_port)
    bridge_metrics: int = field(default_factory=free_port)
    running: dict[str, subprocess.Popen] = field(default_factory=dict)
    bridge: str = "connectors.doors.mqtt"
    tenant: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:8]}")

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not os.environ.get("HEADWATER_BROKER_JARS"):
            jars.ensure(self.folder, "hivemq")
        migrate.apply(self.postgres)
        create_all(Settings(kafka=self.kafka))

    def start(self, name: str) -> None:
        module = {"broker": "headwater.broker", "bridge": self.bridge}[name]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", module], env=self.environment(), stdout=log, stderr=subprocess.STDOUT
            )
        if name == "broker":
            eventually(lambda: listens(self.port), f"the broker listens; {self.log(name)[-2000:]}")

    def environment(self) -> dict[str, str]:
        return os.environ | {
            "HEADWATER_STATE": str(self.folder),
            "HEADWATER_KAFKA": self.kafka,
            "HEADWATER_POSTGRES": self.postgres,
            "HEADWATER_MQTT": f"mqtt://127.0.0.1:{self.port}",
            "HEADWATER_BROKER_PORT": str(self.port),
            "HEADWATER_BRIDGE_PASSWORD": "bridge-secret",
            "HEADWATER_BROKER_METRICS_PORT": str(self.broker_metrics),
            "HEADWATER_BRIDGE_METRICS_PORT": str(self.bridge_metrics),
            **self.env,
        }

    def up(self) -> None:
        """Starts both and returns when devices are let in."""
        self.start("broker")
        self.start("bridge")
        self.wait_open()

    def wait_open(self) -> None:
        eventually(lambda: self.metric("headwater_broker_open") == 1, f"publishers are let in; {self.log('bridge')}")

    def kill(self, name: str) -> None:
        self.running[name].send_signal(signal.SIGKILL)
        self.running[name].wait()

    def stop(self, name: str) -> int:
        self.running[name].terminate()
        return self.running[name].wait(120)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def metric(self, name: str) -> float | None:
        port = self.broker_metrics if name.startswith("headwater_broker") else self.bridge_metrics
        try:
            with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return None
        return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")), None)

    def device(self, name: str, token: str | None = None) -> "Client":
        """A registered device, connected."""
        token = token or f"token-of-{name}"
        with psycopg.connect(self.postgres) as conn:
            registry.add_device(conn, self.tenant, name, token)
        client = self.client(f"{self.tenant}/{name}", token)
        eventually(lambda: client.connected, f"{name} connects: {client.refusals}")
        return client

    def client(self, user: str, token: str, protocol: int = paho.MQTTv5, client_id: str = "") -> "Client":
        return Client(self.port, user, token, protocol, client_id or f"c-{uuid.uuid4().hex}")

    def packs(self, enough: Callable[[list[Pack]], bool]) -> list[Pack]:
        """All packs of this line's tenant in log order (per partition), once they are enough."""
        return self._read(RAW.name, Pack, enough)

    def all_packs(self) -> list[Pack]:
        """All packs of this line's tenant up to the end that the log has now."""
        return self._read(RAW.name, Pack, None)

    def letters(self, enough: Callable[[list[DeadLetter]], bool]) -> list[DeadLetter]:
        return self._read(DEAD_LETTER.name, DeadLetter, enough)

    def _read(self, topic: str, kind: type, enough: Callable[[list], bool] | None) -> list:
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "test", "enable.auto.commit": False})
        partitions = consumer.list_topics(topic, timeout=60).topics[topic].partitions
        places = [TopicPartition(topic, partition, 0) for partition in partitions]
        ends = {place.partition: consumer.get_watermark_offsets(place, 60)[1] for place in places}
        consumer.assign(places)
        found: list = []
        until = time.monotonic() + PATIENCE_S
        try:
            while time.monotonic() < until:
                for message in consumer.consume(1_000, 0.5):
                    assert message.error() is None
                    record = codec.decode(kind, message.value())
                    if record.tenant == self.tenant:
                        assert message.key() == codec.device_key(record.tenant, record.device)
                        found.append(record)
                if enough is None and self._reached(consumer, places, ends):
                    return found
                if enough is not None and enough(found):
                    return found
        finally:
            consumer.close()
        raise AssertionError(f"{topic} did not get what was expected; {len(found)} records: {found[:5]}")

    @staticmethod
    def _reached(consumer: Consumer, places: list[TopicPartition], ends: dict[int, int]) -> bool:
        # The position is negative until something was read.
        return all(max(0, place.offset) >= ends[place.partition] for place in consumer.position(places))


class Client:
    """A device's MQTT connection that remembers what was acknowledged and how it was refused."""

    def __init__(self, port: int, user: str, token: str, protocol: int, client_id: str) -> None:
        self.user = user
        self.topic = f"v1/{user}/telemetry"
        self.connected = False
        self.connects = 0
        self.refusals: list[str] = []
        self.farewells: list[str] = []
        self.acknowledged: set[Any] = set()
        self.negative: list[str] = []
        self.messages: list[tuple[str, bytes]] = []
        self._sent: dict[int, Any] = {}
        self._answers: dict[int, str] = {}
        self._granted: dict[int | None, bool] = {}
        self._free = threading.Condition()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id, protocol=protocol)
        self._client.username_pw_set(user, token)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = lambda _c, _d, message: self.messages.append((message.topic, message.payload))
        self._client.connect_async("127.0.0.1", port, 30)
        self._client.loop_start()

    def publish(self, payload: bytes, identity: Any = None, topic: str = "", window: int = 20) -> None:
        """Sends with QoS 1 and at most `window` unacknowledged; `identity` is remembered once it is acknowledged."""
        with self._free:
            self._free.wait_for(lambda: len(self._sent) < window or not self.connected, 5)
        # Not under the lock: paho calls back with a lock of its own that publish() takes too.
        info = self._client.publish(topic or self.topic, payload, qos=1)
        with self._free:
            self._sent[info.mid] = identity
            self._settle()

    def subscribe(self, topic: str) -> bool:
        """Whether a subscription is granted; false too if the broker ends the connection for it."""
        before = len(self.farewells)
        _, mid = self._client.subscribe(topic, qos=1)
        eventually(
            lambda: mid in self._granted or len(self.farewells) > before, f"a subscription to {topic} is answered"
        )
        return self._granted.get(mid, False)

    def is_refused(self, reason: str) -> bool:
        """Whether it was refused with that reason; nothing else may have been said to it but that the store is slow."""
        assert set(self.refusals) <= {reason, SLOW}, self.refusals
        return reason in self.refusals

    def unacknowledged(self) -> int:
        return len(self._sent)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self.refusals.append(str(reason))
        else:
            self.connected = True
            self.connects += 1

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if self.connected:
            self.farewells.append(str(reason))
        self.connected = False

    def _on_publish(self, _client: Any, _data: Any, mid: int, reason: Any, _properties: Any) -> None:
        with self._free:
            self._answers[mid] = str(reason) if reason.is_failure else ""
            self._settle()
            self._free.notify()

    def _on_subscribe(self, _client: Any, _data: Any, mid: int, reasons: Any, _properties: Any) -> None:
        self._granted[mid] = not any(reason.is_failure for reason in reasons)

    def _settle(self) -> None:
        """Matches answers to messages; an answer may come before publish() has returned the id."""
        for mid in [mid for mid in self._answers if mid in self._sent]:
            identity, refusal = self._sent.pop(mid), self._answers.pop(mid)
            if refusal:
                self.negative.append(refusal)
            else:
                self.acknowledged.add(identity)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def line(folder: Path, kafka: str, postgres: str, **env: str) -> Iterator[Line]:
    """A prepared line; whatever was started is killed at the end."""
    made = Line(folder, kafka, postgres, {f"HEADWATER_{name.upper()}": value for name, value in env.items()})
    made.prepare()
    try:
        yield made
    finally:
        for process in made.running.values():
            process.kill()
            process.wait()


def readings(packs: list[Pack]) -> dict[tuple[str, str, int], Any]:
    """(device, metric, ts) -> value of the first in the log."""
    found: dict[tuple[str, str, int], Any] = {}
    for pack in packs:
        for columns in (pack.metrics, pack.texts, pack.flags):
            for metric, values in columns.items():
                for at, value in zip(pack.at, values, strict=True):
                    found.setdefault((pack.device, metric, pack.pane + at), value)
    return found
