import base64
import time
from collections.abc import Iterator

import orjson
import paho.mqtt.client as paho
import psycopg
import pytest

from headwater import registry
from headwater.model.pack import REASONS
from tests.integration.mqtt_line import Line, eventually, line, readings


@pytest.fixture(scope="module")
def up(tmp_path_factory, kafka, postgres) -> Iterator[Line]:
    with line(tmp_path_factory.mktemp("line"), kafka, postgres) as made:
        made.up()
        yield made


def now() -> int:
    return time.time_ns() // 1_000_000


FORMS = {
    "plain": ({"temperature": 21.5}, 1),
    "wrapped": ({"ts": ..., "values": {"n": 1, "t": "on", "f": True}}, 3),
    "list": ([{"ts": ..., "values": {"a": 1}}, {"a": 2}, {"ts": [...], "metrics": {"b": [3]}}], 3),
    "columns": ({"ts": [..., ...], "metrics": {"a": [1, 2], "b": [None, 3]}}, 3),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_payload_arrives_as_readings(up, name):
    form, count = FORMS[name]
    before = now()
    stamps = iter(range(before, before + 100))
    filled = orjson.loads(orjson.dumps(form, default=lambda _: next(stamps)))
    device = up.device(name)
    device.publish(orjson.dumps(filled), name)
    packs = up.packs(lambda packs: len(readings([p for p in packs if p.device == name])) >= count)
    mine = readings([pack for pack in packs if pack.device == name])
    assert len(mine) == count
    assert all(before - 1_000 <= ts <= now() + 1_000 for _, _, ts in mine)
    eventually(lambda: device.acknowledged == {name}, "and it is acknowledged")
    if name == "columns":
        first, second = filled["ts"]
        assert mine == {(name, "a", first): 1.0, (name, "a", second): 2.0, (name, "b", second): 3.0}
    if name == "wrapped":
        assert mine == {
            (name, "n", filled["ts"]): 1.0,
            (name, "t", filled["ts"]): "on",
            (name, "f", filled["ts"]): True,
        }
    device.close()


REFUSED = {
    "bad-json": b'{"a":',
    "bad-shape": b"[[1]]",
    "bad-type": b'{"good":1,"a":null}',
    "not-finite": b'{"good":1,"a":1e999,"b":NaN}',
    "too-old": b'[{"ts":1,"values":{"a":1}},{"good":1}]',
    "bad-stamp": b'[{"ts":"x","values":{"a":1}},{"good":1}]',
    "too-large": b" " * 262_145,
    "bad-name": b'{"a\\n":1,"good":1}',
    "too-long": orjson.dumps({"good": 1, "a": "x" * 1025}),
    "too-many-metrics": orjson.dumps({f"m{i}": i for i in range(257)}),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_refused_is_a_dead_letter_and_told_to_the_device_and_the_rest_is_taken(up, reason):
    payload, name = REFUSED[reason], f"refused-{reason}"
    device = up.device(name)
    assert device.subscribe(f"v1/{up.tenant}/{name}/errors")
    device.publish(payload, "sent")
    eventually(lambda: device.messages, "the device is told")
    letters = up.letters(lambda letters: any(letter.device == name for letter in letters))
    (letter,) = [letter for letter in letters if letter.device == name]
    assert letter.reason == reason
    assert reason in REASONS
    assert base64.b64decode(letter.payload) == payload
    assert (letter.topic, letter.door) == (device.topic, "mqtt")
    topic, told = device.messages[0]
    assert topic == f"v1/{up.tenant}/{name}/errors"
    (refused,) = orjson.loads(told)["refused"]
    assert (refused["reason"], refused["detail"]) == (reason, letter.detail)
    assert refused["count"] == (2 if reason == "not-finite" else 1)
    if b"good" in payload:
        packs = up.packs(lambda packs: any(pack.device == name for pack in packs))
        assert [list(pack.metrics) for pack in packs if pack.device == name] == [["good"]]
    device.close()


def test_a_message_that_is_too_far_ahead_is_refused(up):
    device = up.device("ahead")
    device.publish(orjson.dumps({"ts": now() + 400_000, "values": {"a": 1}}))
    (letter,) = up.letters(lambda letters: any(x.device == "ahead" for x in letters))[-1:]
    assert (letter.device, letter.reason) == ("ahead", "too-new")
    device.close()


def test_a_wrong_token_is_refused(up):
    up.device("honest").close()
    client = up.client(f"{up.tenant}/honest", "guessed")
    eventually(lambda: client.is_refused("Bad user name or password"), "it is refused")
    assert client.connects == 0
    client.close()


@pytest.mark.parametrize("user", ["nobody", "_bridge", "demo/", "/a", "demo/a/b", ""])
def test_a_user_that_is_not_registered_is_refused(up, user):
    client = up.client(user, "")
    eventually(lambda: client.refusals, "the CONNECT is answered")
    assert client.connects == 0
    client.close()


@pytest.mark.parametrize("protocol", [paho.MQTTv5, paho.MQTTv311])
def test_a_device_cannot_publish_for_another(up, protocol):
    up.device("victim").close()
    up.device("thief").close()
    thief = up.client(f"{up.tenant}/thief", "token-of-thief", protocol)
    eventually(lambda: thief.connected, "connects")
    thief.publish(b'{"stolen":1}', "stolen", topic=f"v1/{up.tenant}/victim/telemetry")
    eventually(lambda: thief.farewells or thief.negative, "the publish is refused")
    assert "stolen" not in thief.acknowledged
    honest = up.device("honest-after")
    honest.publish(b'{"mine":1}')
    packs = up.packs(lambda packs: any(pack.device == "honest-after" for pack in packs))
    assert not [pack for pack in packs if "stolen" in pack.metrics]
    thief.close()
    honest.close()


def test_a_device_cannot_read_what_others_send(up):
    spy, talker = up.device("spy"), up.device("talker")
    for topic in ("v1/#", "#", f"v1/{up.tenant}/talker/telemetry", f"v1/{up.tenant}/+/errors"):
        spy.subscribe(topic)
    talker.publish(b'{"secret":1,"bad":null}', "sent")
    eventually(lambda: talker.acknowledged, "it is acknowledged")
    up.letters(lambda letters: any(letter.device == "talker" for letter in letters))
    time.sleep(0.5)
    assert spy.messages == []
    spy.close()
    talker.close()


def test_nobody_takes_over_the_connection_of_another_device(up):
    owner = up.device("owner")
    rival_token = "token-of-rival"
    with psycopg.connect(up.postgres) as conn:
        registry.add_device(conn, up.tenant, "rival", rival_token)
    held = up.client(f"{up.tenant}/owner", "token-of-owner", client_id="held")
    eventually(lambda: held.connected, "the owner connects")
    for client_id in ("held", "headwater-bridge"):
        rival = up.client(f"{up.tenant}/rival", rival_token, client_id=client_id)
        eventually(lambda rival=rival: rival.is_refused("Client identifier not valid"), "it is refused")
        assert rival.connects == 0
        rival.close()
    assert held.connected
    assert not held.farewells
    held.close()
    owner.close()


def test_a_revoked_device_is_sent_away_and_a_new_token_lets_it_in_again(up):
    device = up.device("revoked")
    with psycopg.connect(up.postgres) as conn:
        registry.revoke(conn, up.tenant, "revoked")
    eventually(lambda: device.farewells, "the connection ends")
    eventually(lambda: device.is_refused("Bad user name or password"), "and it is not let in again")
    assert device.connects == 1
    device.close()
    up.device("revoked", token="another").close()


def test_the_order_of_each_device_is_kept(up):
    devices = [up.device("first"), up.device("second")]
    start = now() - 100_000
    for number in range(300):
        for device in devices:
            device.publish(orjson.dumps({"ts": start + number, "values": {"n": number}}))
    packs = up.packs(lambda packs: sum(p.device in ("first", "second") for p in packs) >= 600)
    for name in ("first", "second"):
        numbers = [pack.metrics["n"][0] for pack in packs if pack.device == name]
        assert numbers == list(range(300))
    for device in devices:
        device.close()


def test_nothing_was_dropped_or_left_in_flight(up):
    eventually(lambda: up.metric("headwater_broker_queued") == 0, "all is acknowledged by the bridge")
    assert up.metric("headwater_broker_dropped") == 0
    eventually(lambda: up.metric("headwater_door_in_flight") == 0, "nothing is left in flight")
