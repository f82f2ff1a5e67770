"""Attributes between devices and the registry, through a real broker, bridge and sink."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby

import psycopg
import pytest

from connectors.sinks.attributes import AttributeSink
from headwater.model.settings import SinkSettings
from headwater.model.version import ANY_OLD
from headwater.registry import store
from headwater.registry.entries import DEVICES
from tests.integration.mqtt_line import Client, Line, eventually, line
from tests.integration.sinks import in_thread


@contextmanager
def stored(up: Line) -> Iterator[None]:
    """The sink of attributes, in a thread."""
    with in_thread(AttributeSink, SinkSettings(kafka=up.kafka, postgres=up.postgres)):
        yield


@pytest.fixture(scope="module")
def up(tmp_path_factory, kafka, postgres):
    """One line for all tests: each has devices of its own."""
    with line(tmp_path_factory.mktemp("attributes") / "line", kafka, postgres) as made:
        made.up()
        yield made


def client_attributes(up: Line, device: str) -> dict:
    with psycopg.connect(up.postgres) as conn:
        return store.get(conn, DEVICES, up.tenant, device).attributes.client


def share(up: Line, device: str, **shared) -> None:
    with psycopg.connect(up.postgres) as conn:
        store.save(conn, DEVICES, up.tenant, device, {"attributes": {"shared": shared}}, ANY_OLD, merge=True)


def topic(device: Client, *more: str) -> str:
    return "/".join(("v1", device.user, "attributes", *more))


def told(device: Client) -> list[dict]:
    """What the device was told, in order."""
    return [json.loads(payload)["shared"] for where, payload in device.messages if where == topic(device, "shared")]


def test_what_a_device_says_of_itself_is_in_the_registry(up):
    device = up.device("says")
    with stored(up):
        device.publish(b'{"firmware": "1.0", "free": 12.5}', "first", topic(device))
        device.publish(b'{"firmware": "1.1", "free": null, "on": true}', "second", topic(device))
        eventually(lambda: device.acknowledged == {"first", "second"}, "both are acknowledged")
        eventually(lambda: client_attributes(up, "says") == {"firmware": "1.1", "on": True}, "they are registered")
    assert not device.farewells
    device.close()


@pytest.mark.parametrize(
    ("payload", "reason", "said"),
    [
        (b'{"a":', "bad-json", "expected JSON"),
        (b"[1]", "bad-attributes", "expected an object"),
        (b'{"good": 1, "deep": {"x": 1}, "nan": NaN}', "bad-attributes", ".deep: expected text"),
        (b'{"": 1}', "bad-attributes", "names of 1 to 128"),
        (json.dumps({f"n{number}": 1 for number in range(201)}).encode(), "bad-attributes", "at most 200"),
        (b'{"a": "' + b"x" * 16_400 + b'"}', "too-large", "at most 16384 bytes"),
    ],
)
def test_what_is_refused_is_a_dead_letter_and_told_to_the_device(up, payload, reason, said):
    device = up.device(f"refused-{len(payload)}")
    device.subscribe(f"v1/{device.user}/errors")
    device.publish(payload, "sent", topic(device))
    eventually(lambda: device.messages, "the device is told")
    [refused] = json.loads(device.messages[0][1])["refused"]
    assert refused["reason"] == reason
    assert said in refused["detail"]
    name = device.user.partition("/")[2]
    letters = up.letters(lambda found: any(letter.device == name for letter in found))
    [letter] = [letter for letter in letters if letter.device == name]
    assert (letter.reason, letter.topic, base64.b64decode(letter.payload)) == (reason, topic(device), payload)
    eventually(lambda: device.acknowledged == {"sent"}, "it is acknowledged: it stands on Kafka")
    device.close()


def test_what_was_acknowledged_is_registered_whoever_was_killed_meanwhile(up):
    device = up.device("keeps")
    for number in range(60):
        if number == 20:
            up.kill("bridge")
        if number == 40:
            up.kill("broker")
            up.start("broker")
            up.start("bridge")
            up.wait_open()
            eventually(lambda: device.connected, "it is back")
        device.publish(json.dumps({f"n{number}": number, "last": number}).encode(), number, topic(device))
    eventually(lambda: device.acknowledged >= set(range(60)), "all are acknowledged")
    with stored(up):
        wanted = {f"n{number}": number for number in range(60)} | {"last": 59}
        eventually(lambda: client_attributes(up, "keeps") == wanted, "all are registered")
    device.close()


def test_a_device_is_told_what_is_shared_with_it_at_once_and_at_each_change(up):
    device, other = up.device("told"), up.device("other")
    share(up, "other", every_s=7)
    share(up, "told", every_s=5)
    device.subscribe(topic(device, "shared"))
    eventually(lambda: told(device)[-1:] == [{"every_s": 5}], "it is told when it subscribes")
    share(up, "told", every_s=10, mode="eco")
    eventually(lambda: told(device)[-1] == {"every_s": 10, "mode": "eco"}, "and when it changes")
    share(up, "told", every_s=None, mode=None)
    eventually(lambda: told(device)[-1] == {}, "and when all is taken away")
    count = len(told(device))
    with psycopg.connect(up.postgres) as conn:
        store.save(conn, DEVICES, up.tenant, "told", {"attributes": {"server": {"x": 1}}}, ANY_OLD, merge=True)
    # What it is told was kept long before: at the very moment of a change it may be told twice.
    other.subscribe(topic(other, "shared"))
    eventually(lambda: told(other) == [{"every_s": 7}], "the other is told its own")
    share(up, "other", every_s=8)
    eventually(lambda: told(other) == [{"every_s": 7}, {"every_s": 8}], "and when it changes")
    assert len(told(device)) == count, "what is not shared, or another's, is not told"
    for client in (device, other):
        client.close()


def test_what_is_shared_is_the_devices_own_and_not_its_to_write(up):
    spy, victim = up.device("spy"), up.device("victim")

    def since() -> list[dict]:
        return [one for one in told(victim) if one != {"secret": 0}]

    share(up, "victim", secret=0)
    victim.subscribe(topic(victim, "shared"))
    eventually(lambda: told(victim)[-1:] == [{"secret": 0}], "the victim listens")
    spy.subscribe(topic(victim, "shared"))
    spy.subscribe(f"v1/{up.tenant}/+/attributes/shared")
    spy.subscribe(f"v1/{victim.user}/#")
    share(up, "victim", secret=1)
    eventually(lambda: since() == [{"secret": 1}], "the victim is told")
    victim.publish(b'{"v": 1, "shared": {"secret": 2}}', "forged", topic(victim, "shared"))
    eventually(lambda: victim.negative or victim.farewells, "it may not write there")
    assert "forged" not in victim.acknowledged
    assert since() == [{"secret": 1}]
    assert spy.messages == []
    for client in (spy, victim):
        client.close()


def test_a_broker_that_was_killed_tells_what_has_changed_meanwhile(up):
    device = up.device("late")
    share(up, "late", every_s=1)
    up.device("deleted").close()
    share(up, "deleted", every_s=1)
    device.subscribe(topic(device, "shared"))
    eventually(lambda: told(device), "it is told")
    up.kill("broker")
    share(up, "late", every_s=2)
    with psycopg.connect(up.postgres) as conn:
        store.remove(conn, DEVICES, up.tenant, "deleted")
    up.start("broker")
    up.wait_open()
    eventually(lambda: device.connected, "it is back")
    device.subscribe(topic(device, "shared"))
    eventually(lambda: told(device)[-1] == {"every_s": 2}, "it is told the newest")
    device.close()
    again = up.device("deleted")
    again.subscribe(topic(again, "shared"))
    share(up, "deleted", every_s=3)
    eventually(lambda: told(again), "it is told")
    # The subscription may meet the change on its way, and is told twice then.
    assert [one for one, _ in groupby(told(again))] == [{"every_s": 3}], (
        "a new device of an old name is not told what the old one was"
    )
    again.close()
