"""Kafka is away for as long as it takes: doors refuse with a reason, deliver what they acknowledged, and stay small."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import paho.mqtt.client as paho
import psutil
import psycopg
import pytest

from headwater import registry
from headwater.stack import foreground, jars
from headwater.stack import kafka as kafka_server
from headwater.stack.state import State
from tests.integration.mqtt_line import CUT, QUOTA, Client, Line, eventually, line, readings

LIMIT = 2_000
IN_FLIGHT = 200
GROWTH_MB = 80
"""What broker and bridge may grow by while publishers go on pressing. Keeping what is refused would take far more."""

HELD_S = 30.0
pytestmark = pytest.mark.timeout(600)


class OwnKafka:
    """A Kafka of one test, which can be stopped in its tracks, or killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._state = State.open(folder, {"HEADWATER_PORTS": "free"})
        jars.ensure(self._state.folder, "kafka")
        kafka_server.prepare(self._state)
        self._program = kafka_server.program(self._state)
        self._logs = self._state.folder / "logs"
        self.url = self._state.url("kafka")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = foreground.start(self._program, self._logs)
        foreground.wait_ready(self._program, self.process, self._logs)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        self.thaw()
        foreground.stop(self._program, self.process)


@pytest.fixture
def own_kafka(tmp_path) -> Iterator[OwnKafka]:
    server = OwnKafka(tmp_path / "kafka")
    server.start()
    yield server
    if server.process.poll() is None:
        server.end()


class Press:
    """Devices that publish as fast as they are let, over both versions of MQTT, and remember what was acknowledged."""

    def __init__(self, up: Line, count: int) -> None:
        self.clients = [self._client(up, f"d{number}", number % 2 == 0) for number in range(count)]
        self._stop, self._pause = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(one,), daemon=True) for one in self.clients]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _client(up: Line, name: str, new: bool) -> Client:
        with psycopg.connect(up.postgres) as connection:
            registry.add_device(connection, up.tenant, name, f"token-of-{name}")
        return up.client(f"{up.tenant}/{name}", f"token-of-{name}", paho.MQTTv5 if new else paho.MQTTv311)

    def _run(self, client: Client) -> None:
        device, stamp = client.user.split("/")[1], time.time_ns() // 1_000_000 - 3_600_000
        while not self._stop.is_set():
            if self._pause.is_set() or not client.connected or client.unacknowledged() >= 100:
                time.sleep(0.01)
                continue
            stamp += 1
            client.publish(orjson.dumps({"ts": stamp, "values": {"n": stamp}}), (device, "n", stamp), window=100)

    def pause(self) -> None:
        """Until `go_on`; what is under way is still acknowledged."""
        self._pause.set()
        eventually(lambda: not any(one.unacknowledged() for one in self.clients), "what is under way is acknowledged")

    def go_on(self) -> None:
        self._pause.clear()

    def rest(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)

    @property
    def acknowledged(self) -> set:
        return set().union(*(one.acknowledged for one in self.clients))

    def close(self) -> None:
        for client in self.clients:
            client.close()


def resident_mb(process: subprocess.Popen) -> float:
    return psutil.Process(process.pid).memory_info().rss / 1e6


def grown(up: Line, seconds: float) -> dict[str, tuple[float, float]]:
    """(MB at first, most MB) of broker and bridge while time passes."""
    first = {name: resident_mb(process) for name, process in up.running.items()}
    most, until = dict(first), time.monotonic() + seconds
    while time.monotonic() < until:
        most = {name: max(held, resident_mb(up.running[name])) for name, held in most.items()}
        time.sleep(0.5)
    return {name: (first[name], most[name]) for name in first}


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_while_kafka_is_away_doors_refuse_and_keep_what_they_have_acknowledged(tmp_path, own_kafka, postgres, how):
    away, back = {"stopped": (own_kafka.freeze, own_kafka.thaw), "killed": (own_kafka.kill, own_kafka.start)}[how]
    settings = {"broker_queue_limit": str(LIMIT), "bridge_receive_max": str(IN_FLIGHT)}
    with line(tmp_path / "line", own_kafka.url, postgres, **settings) as up:
        up.up()
        press = Press(up, 6)
        eventually(lambda: len(press.acknowledged) > LIMIT, "readings flow")
        # The broker may be faster than the bridge: the queue is to be empty when Kafka goes, or it has no room to show.
        press.pause()
        eventually(lambda: up.metric("headwater_broker_queued") == 0, "the bridge has all")
        before = len(press.acknowledged)
        for client in press.clients:
            client.refusals.clear()
            client.farewells.clear()
        away()
        press.go_on()
        try:
            eventually(lambda: all(one.farewells for one in press.clients), "all are sent away")
            memory = grown(up, HELD_S)
            queued = eventually(lambda: up.metric("headwater_broker_queued"), "the broker says what waits")
        finally:
            back()
        assert_refused_with_a_reason(press.clients)
        held = press.acknowledged
        assert len(held) - before >= LIMIT / 2, "the queue is to take what it may"
        assert LIMIT / 2 <= queued <= 10 * LIMIT
        for name, (first, most) in memory.items():
            assert most - first < GROWTH_MB, f"{name} grew from {first:.0f} to {most:.0f} MB"
        up.wait_open()
        eventually(lambda: any(one.connects > 1 for one in press.clients), "they are let in again")
        press.rest()
        eventually(lambda: not any(one.unacknowledged() for one in press.clients), "the rest is acknowledged")
        press.close()
        wanted = press.acknowledged
        assert held <= wanted
        up.packs(lambda packs: wanted <= readings(packs).keys())
        assert up.metric("headwater_broker_dropped") == 0
        print(f"{how}: {len(wanted)} acknowledged, {queued:.0f} queued, resident (MB, first and most) {memory}")


def assert_refused_with_a_reason(clients: list[Client]) -> None:
    for number, client in enumerate(clients):
        said: Callable[[str], bool] = lambda text, client=client: text in client.refusals  # noqa: E731
        if number % 2 == 0:  # MQTT 5 hears 0x97, while connected and when it comes back
            assert client.farewells[0] in (QUOTA, CUT)
            assert said(QUOTA)
        else:  # 3.1.1 has no such code: the connection closes, and CONNECT is not authorised
            assert client.refusals
            assert all("uthoriz" in one or "uthoris" in one for one in client.refusals)


def test_without_a_limit_the_queue_grows_past_it(tmp_path, own_kafka, postgres):
    # The control: the same load and a limit that is never reached.
    settings = {"broker_queue_limit": "1000000", "bridge_receive_max": str(IN_FLIGHT)}
    with line(tmp_path / "line", own_kafka.url, postgres, **settings) as up:
        up.up()
        press = Press(up, 6)
        eventually(lambda: len(press.acknowledged) > LIMIT, "readings flow")
        own_kafka.freeze()
        try:
            eventually(lambda: (up.metric("headwater_broker_queued") or 0) > 5 * LIMIT, "the queue grows")
            assert not any(one.farewells for one in press.clients)
        finally:
            press.rest()
            own_kafka.thaw()
            press.close()
