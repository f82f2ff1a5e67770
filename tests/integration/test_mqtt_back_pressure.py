"""Before the broker would have to drop what it has acknowledged, it refuses publishers."""

import signal
import time
from collections.abc import Iterator, Set

import orjson
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from headwater.stack import jars
from headwater.stack import kafka as kafka_server
from headwater.stack.foreground import running
from headwater.stack.state import State
from tests.integration.mqtt_line import CUT, PATIENCE_S, QUOTA, Client, Line, eventually, line, readings

SILENCE_S = 5.0

Identity = tuple[str, str, int]


def fill(client: Client, up: Line) -> None:
    """Publishes until the broker sends the device away."""
    device = client.user.split("/")[1]
    stamp = time.time_ns() // 1_000_000 - 600_000
    until = time.monotonic() + 240
    while not client.farewells and time.monotonic() < until:
        stamp += 1
        client.publish(orjson.dumps({"ts": stamp, "values": {"n": stamp}}), (device, "n", stamp))
    assert client.farewells, f"never sent away; queued {up.metric('headwater_broker_queued')}"
    assert client.farewells[0] in (QUOTA, CUT)


def assert_refused_then_all_delivered(up: Line, client: Client, recover, but: Set[Identity] = frozenset()) -> None:
    eventually(lambda: QUOTA in client.refusals, "its CONNECT is refused")
    acknowledged = set(client.acknowledged)
    assert acknowledged
    assert up.metric("headwater_broker_open") == 0
    recover()
    up.wait_open()
    eventually(lambda: client.connected, "it is let in again")
    eventually(lambda: not client.unacknowledged(), "the rest is acknowledged")
    client.close()
    wanted = (acknowledged | client.acknowledged) - but
    up.packs(lambda packs: wanted <= readings(packs).keys())
    assert up.metric("headwater_broker_dropped") == 0


def handed_over(up: Line, enough: int) -> tuple[int, set[Identity]]:
    """How many messages the broker gives to the bridge's session at once: `enough` of them, or all if patience ends.

    What it gave to the killed bridge it gives again first, and nothing more before that is acknowledged. So if nothing
    more comes, what came is acknowledged, and lost to Kafka: the readings in it are the second answer.
    """
    came: list[paho.MQTTMessage] = []
    taken: set[Identity] = set()
    client = paho.Client(CallbackAPIVersion.VERSION2, "headwater-bridge", protocol=paho.MQTTv5, manual_ack=True)
    client.username_pw_set("_bridge", "bridge-secret")
    client.on_message = lambda _client, _data, message: came.append(message)
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval, properties.ReceiveMaximum = 0xFFFF_FFFF, 2_000
    client.connect("127.0.0.1", up.port, clean_start=False, properties=properties)
    until, before, moved = time.monotonic() + PATIENCE_S, 0, time.monotonic()
    while len(came) < enough and time.monotonic() < until:
        client.loop(0.1)
        if len(came) > before:
            before, moved = len(came), time.monotonic()
        elif came and time.monotonic() - moved > SILENCE_S:
            for message in came:
                taken |= {("pressing", "n", ts) for ts in [orjson.loads(message.payload).get("ts")] if ts}
                client.ack(message.mid, message.qos)
            came.clear()
            before = 0
    client.disconnect()
    client.loop(0.1)
    return len(came), taken


@pytest.fixture
def own_kafka(tmp_path, stack_state) -> Iterator:
    """A Kafka of this test alone: (bootstrap servers, process)."""
    state = State.open(tmp_path / "kafka", {"HEADWATER_PORTS": "free"})
    jars.ensure(state.folder, "kafka")
    kafka_server.prepare(state)
    with running(kafka_server.program(state), state.folder / "logs") as process:
        yield state.url("kafka"), process


def test_a_load_that_is_too_much_for_the_bridge_waits_and_nobody_is_sent_away(tmp_path, kafka, postgres):
    with line(tmp_path / "line", kafka, postgres, broker_queue_limit="8000", bridge_receive_max="5") as up:
        up.up()
        client = up.device("pressing")
        first = time.time_ns() // 1_000_000 - 600_000
        stamp, last = first, first + 60_000
        while stamp < last:
            if (stamp - first) % 500 == 0 and last == first + 60_000 and "publishers wait" in up.log("broker"):
                last = stamp + 4_000
            client.publish(orjson.dumps({"ts": stamp, "values": {"n": stamp}}), ("pressing", "n", stamp))
            stamp += 1
        assert "publishers wait" in up.log("broker")
        wanted = {("pressing", "n", stamp) for stamp in range(first, last)}
        eventually(lambda: client.acknowledged >= wanted, "all are acknowledged")
        assert not client.farewells
        assert not client.refusals
        up.packs(lambda packs: wanted <= readings(packs).keys())
        assert up.metric("headwater_broker_paused") == 0
        client.close()


def test_a_full_queue_refuses_publishers_while_kafka_stands_still(tmp_path, own_kafka, postgres):
    bootstrap, process = own_kafka
    with line(tmp_path / "line", bootstrap, postgres, broker_queue_limit="1500", bridge_receive_max="200") as up:
        up.up()
        client = up.device("pressing")
        process.send_signal(signal.SIGSTOP)
        try:
            fill(client, up)
        finally:
            resume = lambda: process.send_signal(signal.SIGCONT)  # noqa: E731
            if not client.farewells:
                resume()
        assert_refused_then_all_delivered(up, client, resume)


def test_a_full_queue_refuses_publishers_while_the_bridge_is_away(tmp_path, kafka, postgres):
    with line(tmp_path / "line", kafka, postgres, broker_queue_limit="1500") as up:
        up.up()
        client = up.device("pressing")
        up.kill("bridge")
        fill(client, up)
        at_once, taken = handed_over(up, 301)
        assert at_once > 300, "more come at once than the fifty of HiveMQ's own window"
        assert_refused_then_all_delivered(up, client, lambda: up.start("bridge"), taken)


def test_a_bridge_that_is_away_for_long_refuses_publishers(tmp_path, kafka, postgres):
    with line(tmp_path / "line", kafka, postgres, broker_bridge_away_ms="1500") as up:
        up.up()
        client = up.device("patient")
        client.publish(orjson.dumps({"ts": time.time_ns() // 1_000_000, "values": {"n": 1}}), None)
        up.kill("bridge")
        eventually(lambda: client.farewells, "it is sent away")
        assert client.farewells[0] in (QUOTA, CUT)
        eventually(lambda: QUOTA in client.refusals, "its CONNECT is refused")
        up.start("bridge")
        eventually(lambda: client.connected, "it is let in again")
        assert up.metric("headwater_broker_dropped") == 0
        client.close()
