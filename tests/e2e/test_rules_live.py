"""An operator's afternoon: a rule is written, fires, clears, and survives a kill; the stack's own rules are there."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode, urlsplit

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.e2e.visiting import Stack

pytestmark = pytest.mark.timeout(1_500)

TENANT, DEVICE = "demo", "boiler-9"
PATIENCE_S = 300
RULES = """
tenant: demo
rules:
  - rule: boiler-hot
    severity: warning
    scope: {device: boiler-9}
    when: {kind: threshold, metric: temperature, above: 80, clear: 75}
"""


class Boiler:
    """A device of one metric."""

    def __init__(self, stack: Stack) -> None:
        said = json.loads(stack.call("devices", "add", TENANT, DEVICE, "--json"))
        at = urlsplit(stack.status()["addresses"]["mqtt"])
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.client.username_pw_set(f"{TENANT}/{DEVICE}", said["token"])
        self.client.connect(at.hostname or "127.0.0.1", at.port or 1883)
        self.client.loop_start()

    def say(self, temperature: float) -> int:
        """Publishes a reading, and returns its stamp when it is acknowledged."""
        now = time.time_ns() // 1_000_000
        payload = json.dumps({"ts": now, "values": {"temperature": temperature}})
        self.client.publish(f"v1/{TENANT}/{DEVICE}/telemetry", payload, qos=1).wait_for_publish(PATIENCE_S)
        return now


@pytest.fixture
def boiler(stack: Stack) -> Iterator[Boiler]:
    made = Boiler(stack)
    yield made
    made.client.disconnect()
    made.client.loop_stop()


def alerts(stack: Stack, **wanted: str) -> list[dict[str, Any]]:
    """Alerts of the boiler."""
    said = stack.status()
    query = urlencode({"tenant": TENANT, "device": DEVICE, "condition": "any", **wanted})
    request = urllib.request.Request(  # the stack's own address
        f"{said['addresses']['api']}/v1/alerts?{query}", headers={"Authorization": f"Bearer {said['access_key']}"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: list[dict[str, Any]] = json.load(answer)["alerts"]
    return found


def until(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE_S
    found = None
    while not found:
        assert time.monotonic() < end, f"not within {PATIENCE_S} s: {what}"
        with suppress(OSError):  # an API whose store is slow says so with a 503
            found = condition()
        time.sleep(0.3)
    return found


def test_a_new_stack_has_rules_for_its_own_machine(stack: Stack):
    rules = json.loads(stack.call("rules", "list", "--json"))
    assert {"cpu-busy", "disk-full", "machine-silent", "memory-full"} <= {rule["rule"] for rule in rules}


def test_a_rule_fires_clears_and_survives_the_kill_of_what_judges(stack: Stack, boiler: Boiler, tmp_path):
    file = tmp_path / "rules.yml"
    file.write_text(RULES)
    stack.call("rules", "apply", str(file))
    until(lambda: any(job["name"] == "alerting" and job["state"] == "RUNNING" for job in stack.status()["jobs"]), "job")
    boiler.say(20.0)
    # A rule counts from half a second after it came to the log: until then a reading is judged without it.
    raised = until(lambda: boiler.say(91.0) and alerts(stack, condition="active"), "the alert")
    assert [(one["rule"], one["severity"], one["value"], one["level"]) for one in raised] == [
        ("boiler-hot", "warning", 91.0, 80.0)
    ]
    os.kill(stack.pid("taskmanager"), signal.SIGKILL)
    boiler.say(92.0)
    cleared_at = boiler.say(70.0)
    [cleared] = until(lambda: alerts(stack, condition="cleared"), "its end")
    assert (cleared["alert_id"], cleared["cleared"]) == (raised[0]["alert_id"], cleared_at)
    assert len(alerts(stack)) == 1
