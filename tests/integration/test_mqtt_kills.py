"""Whatever the broker has acknowledged to a device is in Kafka, whoever is killed meanwhile."""

import random
import shutil
import threading
import time

import orjson
import psycopg
import pytest

from headwater import registry
from tests.integration.mqtt_line import Client, Line, eventually, line, readings

DEVICES = 8


@pytest.fixture
def up(tmp_path, kafka, postgres):
    with line(tmp_path / "line", kafka, postgres) as made:
        made.up()
        yield made


class Flood:
    """Devices that publish numbered readings as fast as they are acknowledged, until told to stop."""

    def __init__(self, up: Line) -> None:
        self.clients = [up.device(f"d{number}") for number in range(DEVICES)]
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(client,), daemon=True) for client in self.clients]
        for thread in self._threads:
            thread.start()

    def _send(self, client: Client) -> None:
        device = client.user.split("/")[1]
        stamp = time.time_ns() // 1_000_000 - 600_000
        while not self._stopping.is_set():
            stamp += 1
            if client.connected:
                client.publish(orjson.dumps({"ts": stamp, "values": {"n": stamp}}), (device, "n", stamp))
            else:
                time.sleep(0.02)

    def acknowledged(self) -> set:
        return set().union(*(set(client.acknowledged) for client in self.clients))

    def end(self) -> set:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        eventually(
            lambda: not any(client.unacknowledged() for client in self.clients), "the last ones are acknowledged"
        )
        for client in self.clients:
            client.close()
        return self.acknowledged()


def assert_all_stored(up: Line, acknowledged: set, broker_killed: bool = False, value: int = 0) -> None:
    # The broker says what waits once a look, so a nought may be of before: what is lost stays missing, the rest comes.
    eventually(lambda: up.metric("headwater_broker_queued") == 0, "the bridge has acknowledged all")
    patient = time.monotonic() + 60
    while not acknowledged <= (stored := readings(up.all_packs())).keys() and time.monotonic() < patient:
        time.sleep(1)
    missing = sorted(acknowledged - stored.keys())
    assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged readings are lost: {missing[:5]}"
    assert all(stored[identity] == (value or identity[2]) for identity in acknowledged)
    if not broker_killed:  # a killed broker may drop a few that it had not acknowledged yet
        assert up.metric("headwater_broker_dropped") == 0


@pytest.mark.parametrize("victim", ["bridge", "broker"])
def test_a_kill_in_a_flood_loses_nothing_acknowledged(up, victim):
    flood = Flood(up)
    eventually(lambda: len(flood.acknowledged()) > 1_000, "the flood runs")
    time.sleep(random.uniform(0, 1))
    up.kill(victim)
    before = len(flood.acknowledged())
    up.start(victim)
    up.wait_open()
    eventually(lambda: len(flood.acknowledged()) > before + 1_000, "the flood goes on")
    assert_all_stored(up, flood.end(), broker_killed=victim == "broker")


def test_a_broker_killed_while_the_bridge_is_away_keeps_its_queue(up):
    flood = Flood(up)
    eventually(lambda: len(flood.acknowledged()) > 200, "the flood runs")
    up.kill("bridge")
    before = len(flood.acknowledged())
    eventually(lambda: len(flood.acknowledged()) > before + 1_000, "messages wait for the bridge")
    up.kill("broker")
    up.start("broker")
    up.start("bridge")
    assert_all_stored(up, flood.end(), broker_killed=True)


def test_the_bridge_drains_and_leaves_on_sigterm(up):
    flood = Flood(up)
    eventually(lambda: len(flood.acknowledged()) > 500, "the flood runs")
    assert up.stop("bridge") == 0
    assert '"unreported": 0' in up.log("bridge")
    up.start("bridge")
    assert_all_stored(up, flood.end())


def test_a_broker_restarted_without_postgres_knows_its_devices(tmp_path, kafka, postgres):
    with line(tmp_path / "line", kafka, postgres) as up:
        up.up()
        up.device("known").close()
        saved = up.folder / "broker" / "devices.json"
        eventually(lambda: saved.is_file() and up.tenant.encode() in saved.read_bytes(), "the table is saved")
        assert up.stop("broker") == 0
        up.env["HEADWATER_POSTGRES"] = "postgresql://headwater@127.0.0.1:1/none"
        up.start("broker")
        up.wait_open()
        known = up.client(f"{up.tenant}/known", "token-of-known")
        eventually(lambda: known.connected, f"a known device connects: {known.refusals}")
        unknown = up.client(f"{up.tenant}/unknown", "token")
        eventually(lambda: unknown.refusals, "the CONNECT is answered")
        assert unknown.refusals[0] == "Server unavailable"
        for client in (known, unknown):
            client.close()


def test_devices_are_let_in_only_after_the_bridge_has_subscribed(tmp_path, kafka, postgres):
    with line(tmp_path / "line", kafka, postgres) as up:
        with psycopg.connect(postgres) as conn:
            registry.add_device(conn, up.tenant, "early", "token")
        up.start("broker")
        early = up.client(f"{up.tenant}/early", "token")
        eventually(lambda: early.refusals, "the CONNECT is answered")
        assert early.refusals[0] == "Server unavailable"
        up.start("bridge")
        eventually(lambda: early.connected, "it is let in")
        early.publish(b'{"a":1}', "sent")
        up.packs(lambda packs: any(pack.device == "early" for pack in packs))
        early.close()


def test_a_queue_entry_whose_payload_was_never_written_takes_no_new_message_with_it(up):
    # What a kill between the two writes leaves; HiveMQ would give the entry's id to a new message once more. Nothing
    # may be in flight when the bridge dies: an entry in flight had its payload, so no kill leaves one without.
    device = up.device("d")
    seen = up.metric("headwater_door_events_total") or 0
    up.device("e").close()
    eventually(
        lambda: (up.metric("headwater_door_events_total") or 0) >= seen + 2,
        "the events of a connection, and so of the one before, are through",
    )
    time.sleep(1)  # and the broker has looked since
    eventually(lambda: up.metric("headwater_broker_queued") == 0, "the bridge has been told")
    up.kill("bridge")
    for number in range(5):
        device.publish(b'{"ts":%d,"values":{"n":0}}' % (time.time_ns() // 1_000_000), number)
    eventually(lambda: len(device.acknowledged) == 5, "they wait in the queue")
    assert up.stop("broker") == 0
    shutil.rmtree(up.folder / "broker" / "data" / "persistence" / "publish_payload_store")
    up.start("broker")
    eventually(lambda: device.connected, "the device comes back")
    stamps = [time.time_ns() // 1_000_000 + number for number in range(20)]
    for stamp in stamps:
        device.publish(b'{"ts":%d,"values":{"n":1}}' % stamp, stamp)
    eventually(lambda: set(stamps) <= device.acknowledged, "the new ones are acknowledged")
    up.start("bridge")
    assert_all_stored(up, {("d", "n", stamp) for stamp in stamps}, value=1, broker_killed=True)
    device.close()
