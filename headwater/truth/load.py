"""Numbered load over MQTT that remembers what the broker acknowledged: the ground of every kill test.

Each device publishes column packs with stamps of its own clock, QoS 1, over one connection with a session. A message
that is refused or not acknowledged is sent again until it is, as a careful device would.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson
import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from headwater import registry
from headwater.clock import now_ms

SESSION_S = 3_600


@dataclass(frozen=True)
class Shape:
    """How the load looks: each device sends `pack` stamps of `metrics` values in one message each `every_ms`."""

    devices: int = 20
    metrics: int = 2
    pack: int = 10
    every_ms: int = 200

    @property
    def readings_per_s(self) -> float:
        """Readings (values) offered a second by all devices together."""
        return self.devices * self.metrics * self.pack * 1_000 / self.every_ms


@dataclass
class Message:
    """One publish: stamps (epoch ms) and a column of values for each metric."""

    ts: list[int]
    metrics: dict[str, list[float]]

    def payload(self) -> bytes:
        """The column pack as the door takes it."""
        return orjson.dumps({"ts": self.ts, "metrics": self.metrics})


@dataclass
class LoadDevice:
    """One device: sends numbered readings in order, keeps what is not yet acknowledged, and knows all that it sent."""

    tenant: str
    name: str
    token: str
    shape: Shape
    sent: list[Message] = field(default_factory=list)
    pending: dict[int, Message] = field(default_factory=dict)
    refused: int = 0
    _last_ts: int = 0
    _number: int = 0
    _acks: deque[tuple[int, bool]] = field(default_factory=deque)

    def connect(self, url: str) -> None:
        """Connects in the background and goes on trying; a session keeps unacknowledged messages over reconnects."""
        parts = urlsplit(url)
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"{self.tenant}-{self.name}", protocol=mqtt.MQTTv5)
        client.username_pw_set(f"{self.tenant}/{self.name}", self.token)
        client.reconnect_delay_set(min_delay=1, max_delay=2)
        client.max_queued_messages_set(0)
        client.on_publish = self._on_publish
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_S
        host, port = parts.hostname or "127.0.0.1", parts.port or 1883
        client.connect_async(host, port, clean_start=False, properties=properties)
        client.loop_start()
        self.client = client

    @property
    def number(self) -> int:
        """The number of the next reading."""
        return self._number

    def _on_publish(self, _client: mqtt.Client, _data: Any, mid: int, reason: Any, _properties: Any) -> None:
        # paho calls this under its own lock: no lock and no publish here, or two threads wait for each other.
        self._acks.append((mid, bool(getattr(reason, "is_failure", False))))

    def settle(self) -> None:
        """Takes in the acknowledgements that have come; what was refused is published again."""
        for _ in range(len(self._acks)):
            mid, failed = self._acks.popleft()
            message = self.pending.pop(mid)
            if failed:
                self.refused += 1
                self._publish(message)

    def _publish(self, message: Message) -> None:
        info = self.client.publish(f"v1/{self.tenant}/{self.name}/telemetry", message.payload(), qos=1)
        self.pending[info.mid] = message

    def send(self, now_ms: int) -> None:
        """Publishes the next pack: stamps spread over the time since the last one, values that number the readings."""
        step = max(1, self.shape.every_ms // self.shape.pack)
        first = max(now_ms - step * (self.shape.pack - 1), self._last_ts + 1)
        self._last_ts = first + step * (self.shape.pack - 1)
        self._send_numbered(first, step)

    def send_old(self, first_ms: int, step_ms: int) -> None:
        """Publishes a pack that was measured long ago, as a device does that was away; `first_ms` is its first stamp.

        Stamps must not repeat those of an earlier call: a reading that is sent twice counts once.
        """
        self._send_numbered(first_ms, step_ms)

    def resend(self, message: Message) -> None:
        """Publishes a message again, as a device does that has lost an acknowledgement: it must change nothing."""
        self._publish(message)

    def _send_numbered(self, first: int, step: int) -> None:
        ts = [first + step * i for i in range(self.shape.pack)]
        numbers = [float(self._number + i) for i in range(self.shape.pack)]
        self._number += self.shape.pack
        metrics = {f"m{k}": [number + k * 0.5 for number in numbers] for k in range(self.shape.metrics)}
        message = Message(ts, metrics)
        self.sent.append(message)
        self._publish(message)

    def readings(self) -> Iterator[tuple[str, str, str, int, float]]:
        """All that was sent, as (tenant, device, metric, ts, value)."""
        for message in self.sent:
            for metric, values in message.metrics.items():
                for ts, value in zip(message.ts, values, strict=True):
                    yield self.tenant, self.name, metric, ts, value


def register(url: str, tenant: str, names: Iterable[str]) -> dict[str, str]:
    """Makes the devices known in PostgreSQL (`url`), known ones anew; returns the new token of each by its name."""
    tokens = {name: registry.new_token() for name in names}
    with psycopg.connect(url) as connection:
        registry.add_tenant(connection, tenant)
        registry.add_devices(connection, (registry.NewDevice(tenant, name, token) for name, token in tokens.items()))
    return tokens


class NumberedLoad:
    """All devices of a load, driven by one thread at an even rate until `stop`; `pause` and `resume` in between.

    `speed` multiplies the rate of `shape` while it runs.
    """

    def __init__(self, url: str, tenant: str, tokens: dict[str, str], shape: Shape) -> None:
        self.shape = shape
        self.devices = [LoadDevice(tenant, name, token, shape) for name, token in tokens.items()]
        self.speed = 1.0
        self._stop = threading.Event()
        self._go, self._idle = threading.Event(), threading.Event()
        self._go.set()
        for device in self.devices:
            device.connect(url)
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def start(self) -> None:
        """Starts to send."""
        self._thread.start()

    def _run(self) -> None:
        gap = self.shape.every_ms / 1_000 / len(self.devices)
        due = time.monotonic()
        while not self._stop.is_set():
            for device in self.devices:
                if not self._go.is_set():
                    self._idle.set()
                    self._go.wait()
                    self._idle.clear()
                    due = time.monotonic()
                device.settle()
                device.send(now_ms())
                due += gap / self.speed
                if (wait := due - time.monotonic()) > 0:
                    time.sleep(wait)
                if self._stop.is_set():
                    return

    def pause(self, timeout_s: float = 120.0) -> int:
        """Stops sending and waits until all is acknowledged; returns the messages that are still not.

        Until `resume` the devices may be used by the caller.
        """
        self._go.clear()
        self._idle.wait()
        return self._settle(timeout_s)

    def resume(self) -> None:
        """Goes on sending."""
        self._go.set()
        while self._idle.is_set():
            time.sleep(0.001)

    def _settle(self, timeout_s: float) -> int:
        until = time.monotonic() + timeout_s
        while self.unacknowledged() and time.monotonic() < until:
            for device in self.devices:
                device.settle()
            time.sleep(0.1)
        return self.unacknowledged()

    def stop(self, timeout_s: float = 120.0) -> int:
        """Stops sending, waits until all is acknowledged, disconnects; returns the messages still unacknowledged."""
        self._stop.set()
        self._go.set()
        self._thread.join()
        left = self._settle(timeout_s)
        for device in self.devices:
            device.client.disconnect()
            device.client.loop_stop()
        return left

    def unacknowledged(self) -> int:
        """Messages that were sent and not yet acknowledged."""
        return sum(len(device.pending) for device in self.devices)

    def readings(self) -> Iterator[tuple[str, str, str, int, float]]:
        """All that was sent by all devices."""
        for device in self.devices:
            yield from device.readings()
