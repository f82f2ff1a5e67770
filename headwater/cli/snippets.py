"""How to send with a token: what a reader pastes."""

from __future__ import annotations

from urllib.parse import urlsplit

from headwater.registry.provisioning import REQUEST, RESPONSE, USER


def mosquitto_line(mqtt: str, tenant: str, device: str, token: str) -> str:
    """A command that publishes one reading."""
    at = urlsplit(mqtt)
    return (
        f"mosquitto_pub -h {at.hostname} -p {at.port or 1883} -q 1 -u '{tenant}/{device}' -P '{token}' "
        f"-t 'v1/{tenant}/{device}/telemetry' -m '{{\"temperature\": 21.5}}'"
    )


def provision_lines(mqtt: str, api: str, key: str) -> str:
    """Commands with which a device registers itself, over MQTT and over HTTP; either prints its token."""
    at, request = urlsplit(mqtt), '{"device": "NAME"}'
    return (
        f"mosquitto_rr -h {at.hostname} -p {at.port or 1883} -q 1 -u {USER} -P '{key}' -t {REQUEST} -e {RESPONSE} "
        f"-m '{request}'\ncurl -X POST {api}/v1/provision -H 'Authorization: Bearer {key}' -d '{request}'"
    )


def python_snippet(mqtt: str, tenant: str, device: str, token: str) -> str:
    """A program (paho-mqtt 2) that publishes one stamped reading and waits for the broker's acknowledgement."""
    at = urlsplit(mqtt)
    return f"""\
import json, time
import paho.mqtt.client as mqtt

client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id={f"{tenant}-{device}"!r})
client.username_pw_set({f"{tenant}/{device}"!r}, {token!r})
client.connect({at.hostname!r}, {at.port or 1883})
client.loop_start()
reading = {{"ts": int(time.time() * 1000), "values": {{"temperature": 21.5}}}}
sent = client.publish({f"v1/{tenant}/{device}/telemetry"!r}, json.dumps(reading), qos=1)
sent.wait_for_publish(10)
print("acknowledged" if sent.is_published() else "not acknowledged: is the token the newest one?")
client.disconnect()
client.loop_stop()
"""
