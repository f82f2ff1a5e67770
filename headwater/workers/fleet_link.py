"""One MQTT connection of one simulated device, driven by an asyncio loop: thousands of them fit into one thread."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from headwater.heartbeat import Heartbeat

QUEUE = 300
"""Messages that a device keeps while the broker is away; what does not fit is not sent."""

_FIRST_RETRY_S = 1.0
_LAST_RETRY_S = 30.0
_MISC_S = 15.0
_KEEPALIVE_S = 60


@dataclass
class Tally:
    """What the whole fleet did so far."""

    connected: int = 0
    acknowledged: int = 0
    refused: int = 0
    not_sent: int = 0

    def __post_init__(self) -> None:
        self.heart = Heartbeat("fleet")


@dataclass(frozen=True)
class Address:
    """Where the broker is."""

    host: str
    port: int


class Link:
    """A paho client without a thread of its own: its socket is watched by the loop.

    Connecting may block, so it runs in `executor`. Messages are QoS 1 and kept by paho until acknowledged, over
    reconnects too. Methods are for the loop's thread.
    """

    def __init__(self, user: str, token: str, address: Address, executor: Executor, tally: Tally) -> None:
        self._loop = asyncio.get_running_loop()
        self._address = address
        self._executor = executor
        self._tally = tally
        self._retry_s = _FIRST_RETRY_S
        self._up = False
        self._closed = False
        self._misc: asyncio.TimerHandle | None = None
        self._client = self._new_client(user, token)

    def connect(self) -> None:
        """Begins to connect; tries again by itself."""
        self._executor.submit(self._connect)

    def publish(self, topic: str, payload: bytes) -> None:
        """Sends with QoS 1, or keeps the message until there is a connection."""
        info = self._client.publish(topic, payload, qos=1)
        if info.rc == paho.MQTT_ERR_QUEUE_SIZE:
            self._tally.not_sent += 1
        self._send_rest()

    def close(self) -> None:
        """Says goodbye to the broker."""
        self._closed = True
        self._client.disconnect()

    def _new_client(self, user: str, token: str) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2, f"fleet-{user}", protocol=paho.MQTTv5)
        client.username_pw_set(user, token)
        client.max_queued_messages_set(QUEUE)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_socket_open = lambda _c, _d, sock: self._call(self._watch, sock)
        client.on_socket_close = self._on_socket_close
        return client

    def _call(self, function: Any, *arguments: Any) -> None:
        """Runs `function` in the loop's thread: now if this is it, else soon."""
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        if here:
            function(*arguments)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    def _connect(self) -> None:
        try:
            self._client.connect(self._address.host, self._address.port, keepalive=_KEEPALIVE_S)
        except OSError:
            self._call(self._retry)

    def _retry(self) -> None:
        if not self._closed:
            # Spread over half to one and a half of the time, so that a fleet does not come back as one wave.
            self._loop.call_later(self._retry_s * random.uniform(0.5, 1.5), self.connect)
            self._retry_s = min(2 * self._retry_s, _LAST_RETRY_S)

    def _watch(self, sock: Any) -> None:
        if sock.fileno() >= 0:
            self._loop.add_reader(sock, self._read)
            self._send_rest()
            self._care()

    def _read(self) -> None:
        self._client.loop_read()
        self._send_rest()

    def _send_rest(self) -> None:
        """paho writes at once; what the socket did not take is written when it takes more."""
        sock = self._client.socket()
        if sock is not None and self._client.want_write():
            self._loop.add_writer(sock, self._write)

    def _write(self) -> None:
        self._client.loop_write()
        sock = self._client.socket()
        if sock is not None and not self._client.want_write():
            self._loop.remove_writer(sock)

    def _on_socket_close(self, _client: paho.Client, _data: Any, sock: Any) -> None:
        descriptor = sock.fileno()
        if descriptor >= 0:
            # Called before paho closes it, and in the loop's thread whenever it was ever watched.
            self._loop.remove_reader(descriptor)
            self._loop.remove_writer(descriptor)

    def _care(self) -> None:
        """Keep-alive and time-outs."""
        if self._misc is not None:
            self._misc.cancel()
        if self._client.loop_misc() == paho.MQTT_ERR_SUCCESS:
            self._misc = self._loop.call_later(_MISC_S, self._care)

    def _on_connect(self, _client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._tally.refused += 1
            return
        self._up = True
        self._retry_s = _FIRST_RETRY_S
        self._tally.connected += 1

    def _on_disconnect(self, _client: paho.Client, _data: Any, _flags: Any, _reason: Any, _properties: Any) -> None:
        if self._up:
            self._up = False
            self._tally.connected -= 1
        self._call(self._retry)

    def _on_publish(self, _client: paho.Client, _data: Any, _mid: int, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._tally.refused += 1
        else:
            self._tally.acknowledged += 1
            self._tally.heart.beat()
