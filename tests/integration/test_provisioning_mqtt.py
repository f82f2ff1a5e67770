"""A device that registers itself with a real broker, and what such a connection may not do."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager

import paho.mqtt.client as paho
import psycopg
import pytest

from headwater import registry
from headwater.registry import keys, store
from headwater.registry.entries import MODELS
from headwater.registry.provisioning import REQUEST, RESPONSE
from tests.integration.mqtt_line import SLOW, Client, Line, eventually, line, readings

OWN = "a-token-that-the-device-has-made-itself"


@pytest.fixture(scope="module")
def up(tmp_path_factory, kafka, postgres):
    with line(tmp_path_factory.mktemp("line"), kafka, postgres, unknown_devices="claim") as made:
        made.up()
        yield made


def new_key(up: Line, **limits: int) -> str:
    key = registry.new_token()
    with psycopg.connect(up.postgres) as conn:
        store.save(conn, MODELS, up.tenant, "boiler", {})
        keys.add(conn, up.tenant, "boiler", key, keys.Limits(**limits))
    return key


@contextmanager
def claiming(up: Line, key: str, protocol: int = paho.MQTTv5, listens: bool = True) -> Iterator[Client]:
    """A connection that came with a key, and listens for its answer."""
    client = up.client("provision", key, protocol)
    try:
        eventually(lambda: client.connected, f"the key lets in: {client.refusals}")
        if listens:
            assert client.subscribe(RESPONSE)
        yield client
    finally:
        client.close()


def asked(client: Client, **request: str) -> dict:
    """The answer to a request, which is asked again while PostgreSQL is too slow for the broker."""
    for _ in range(20):
        before = len(client.messages)
        client.publish(json.dumps(request).encode(), "request", REQUEST)
        eventually(lambda before=before: len(client.messages) > before, "the answer comes")
        topic, payload = client.messages[-1]
        assert topic == RESPONSE
        answer = json.loads(payload)
        if answer.get("reason") != "unavailable":
            break
    return answer


@pytest.mark.parametrize("protocol", [paho.MQTTv311, paho.MQTTv5])
def test_a_device_gets_its_token_and_sends_with_it(up, protocol):
    name = f"b-{protocol}"
    with claiming(up, new_key(up), protocol) as client:
        answer = asked(client, device=name)
        assert (answer["status"], answer["tenant"], answer["device"]) == ("provisioned", up.tenant, name)
        assert (answer["v"], answer["model"]) == (1, "boiler")
        eventually(lambda: "request" in client.acknowledged, "the request is acknowledged")
    # The same client id: it was not kept for whoever came with the key.
    device = up.client(f"{up.tenant}/{name}", answer["token"], client_id=client._client._client_id.decode())
    eventually(lambda: device.connected, f"the token lets in: {device.refusals}")
    device.publish(b'{"temperature": 21.5}')
    packs = up.packs(lambda found: any(pack.device == name for pack in found))
    assert [value for (who, _, _), value in readings(packs).items() if who == name] == [21.5]
    device.close()


def test_a_lost_answer_is_asked_for_again_with_the_devices_own_token(up):
    key = new_key(up, most_uses=1)
    with claiming(up, key) as first:
        assert asked(first, device="own", token=OWN)["made"] is True
    with claiming(up, key) as second:
        again = asked(second, device="own", token=OWN)
        assert (again["status"], again["made"], again["token"]) == ("provisioned", False, OWN)
        refused = asked(second, device="another")
        assert (refused["status"], refused["reason"]) == ("refused", "bad-key")
        eventually(lambda: second.negative == ["Not authorized"], "MQTT 5 is told with the PUBACK too")


def test_a_taken_name_and_a_request_that_is_none_are_refused_with_a_reason(up):
    up.device("taken").close()
    with claiming(up, new_key(up)) as client:
        assert asked(client, device="taken")["reason"] == "name-taken"
        assert asked(client, name="x")["reason"] == "bad-request"
        client.publish(b"\xff{", "bytes", REQUEST)
        eventually(lambda: len(client.messages) == 3, "the third answer")
        assert "expected JSON" in json.loads(client.messages[-1][1])["detail"]
    still = up.client(f"{up.tenant}/taken", "token-of-taken")
    eventually(lambda: still.connected, "the device keeps its token")
    still.close()


def test_who_does_not_listen_is_given_no_token_but_may_bring_one(up):
    with claiming(up, new_key(up), listens=False) as client:
        client.publish(b'{"device": "deaf"}', "deaf", REQUEST)
        eventually(lambda: client.negative, "it is refused")
        client.publish(json.dumps({"device": "brings", "token": OWN}).encode(), "brings", REQUEST)
        eventually(lambda: "brings" in client.acknowledged, "it is registered")
    with psycopg.connect(up.postgres) as conn:
        assert registry.good(conn, up.tenant, "deaf") == []
        assert len(registry.good(conn, up.tenant, "brings")) == 1


def test_a_key_opens_nothing_else(up):
    victim = up.device("victim")
    key = new_key(up)
    for topic in (f"v1/{up.tenant}/victim/telemetry", "provision/response", "$headwater/device-events", "anything"):
        with claiming(up, key) as client:
            client.publish(b'{"temperature": 666}', "sent", topic)
            eventually(lambda: client.negative or client.farewells, f"a publish to {topic} is refused")
            assert "sent" not in client.acknowledged
    for topic in (f"v1/{up.tenant}/victim/errors", "provision/request", "provision/#", "#"):
        with claiming(up, key, listens=False) as client:
            assert not client.subscribe(topic)
    # What one is told, another one with the same key does not hear.
    with claiming(up, key) as one, claiming(up, key) as other:
        asked(one, device="alone")
        asked(other, device="other")
        assert len(one.messages) == len(other.messages) == 1
    assert not victim.farewells
    victim.close()


def test_a_key_that_is_wrong_or_withdrawn_does_not_let_in_and_failures_are_bounded(up):
    key = new_key(up)
    with claiming(up, key) as client:
        with psycopg.connect(up.postgres) as conn:
            keys.revoke(conn, up.tenant, "boiler", registry.token_sha256(key)[:12])
        assert "was revoked" in asked(client, device="late")["detail"]
    guesses = [up.client("provision", "guess") for _ in range(6)]
    wrong = "Bad user name or password"
    eventually(lambda: all(guess.refusals for guess in guesses), "guesses are refused")
    assert any(wrong in guess.refusals for guess in guesses)
    assert {said for guess in guesses for said in guess.refusals} <= {wrong, "Connection rate exceeded", SLOW}
    # They come again each second (paho: without a clean start then), until their address has failed too often; then a
    # good key waits too.
    eventually(lambda: any("Connection rate exceeded" in guess.refusals for guess in guesses), "they are slowed down")
    good = new_key(up)

    def waits() -> bool:  # the minute of the first failures may just have ended; the guesses go on
        with closing(up.client("provision", good)) as client:
            eventually(lambda: client.connected or client.refusals, "the CONNECT is answered")
            return "Connection rate exceeded" in client.refusals

    eventually(waits, "the address waits, with a good key too")
    assert all(guess.connects == 0 for guess in guesses)
    for client in guesses:
        client.close()
    assert up.metric('headwater_broker_provisioning_total{outcome="too-many"}') > 0


def test_by_default_unknown_devices_are_refused(tmp_path, kafka, postgres):
    with line(tmp_path / "line", kafka, postgres) as up:
        up.up()
        client = up.client("provision", new_key(up))
        eventually(lambda: client.refusals, "a good key is refused")
        assert client.refusals[0] == "Not authorized"
        client.close()
