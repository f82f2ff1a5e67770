"""One MQTT 5 connection of one simulated device, as a protocol of asyncio: ten thousand of them fit into one thread.

Only what a device needs that publishes: CONNECT, PUBLISH with QoS 1, PINGREQ and DISCONNECT (MQTT 5.0, 3.1, 3.3, 3.12
and 3.14). A client library that brings its own sockets costs more than half of the processor that a fleet takes.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

from headwater.heartbeat import Heartbeat
from headwater.varint import varint

QUEUE = 300
"""Messages that a device keeps while the broker is away; what does not fit is not sent."""

_IN_FLIGHT = 10
"""Messages that may wait for their PUBACK; HiveMQ allows ten (Receive Maximum in its CONNACK)."""

_FIRST_RETRY_S = 1.0
_LAST_RETRY_S = 30.0
_KEEPALIVE_S = 60
_ANSWER_S = 30.0
"""Longest wait for a CONNACK."""

_CONNACK, _PUBACK, _DISCONNECT = 2, 4, 14
_FAILURE = 0x80
"""Reason codes from this one on are failures (MQTT 5.0, 2.4)."""


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


class Link(asyncio.Protocol):
    """Connects, and again after each loss. Messages are kept until they are acknowledged, over reconnects too.

    Its methods are for the loop's thread.
    """

    def __init__(self, user: str, token: str, address: Address, tally: Tally) -> None:
        self._loop = asyncio.get_running_loop()
        self._address = address
        self._tally = tally
        self._connect = _connect_packet(f"fleet-{user}", user, token)
        self._retry_s = _FIRST_RETRY_S
        self._up = False
        self._closed = False
        self._transport: asyncio.Transport | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._opening: asyncio.Task[object] | None = None
        self._heard = self._sent = 0.0
        self._received = b""
        self._waiting: dict[int, bytes] = {}
        """Packet id -> PUBLISH without its first byte, in order; the first `_flying` of them are sent."""
        self._flying = 0
        self._ids = itertools.cycle(range(1, 65_536))

    def connect(self) -> None:
        """Begins to connect; tries again by itself."""
        self._opening = self._loop.create_task(self._open())

    def publish(self, topic: str, payload: bytes) -> None:
        """Sends with QoS 1, or keeps the message until there is a connection."""
        if len(self._waiting) >= QUEUE:
            self._tally.not_sent += 1
            return
        number = next(self._ids)
        body = _text(topic) + number.to_bytes(2, "big") + b"\0" + payload
        self._waiting[number] = varint(len(body)) + body
        if self._up and self._flying == len(self._waiting) - 1 < _IN_FLIGHT:
            self._flying += 1
            self._write(b"\x32" + self._waiting[number])

    def close(self) -> None:
        """Says goodbye to the broker."""
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
        if self._transport is not None:
            self._write(b"\xe0\x00")
            self._transport.close()

    async def _open(self) -> None:
        try:
            await self._loop.create_connection(lambda: self, self._address.host, self._address.port)
        except OSError:
            self._retry()

    def _retry(self) -> None:
        if not self._closed:
            # Spread over half to one and a half of the time, so that a fleet does not come back as one wave.
            self._loop.call_later(self._retry_s * random.uniform(0.5, 1.5), self.connect)
            self._retry_s = min(2 * self._retry_s, _LAST_RETRY_S)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Says who it is."""
        self._transport = transport  # type: ignore[assignment]  # of TCP
        self._received, self._heard = b"", self._loop.time()
        self._write(self._connect)
        self._watch = self._loop.call_later(_ANSWER_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # as asyncio calls it
        """Tries again."""
        if self._watch is not None:
            self._watch.cancel()
        self._transport = None
        if self._up:
            self._up = False
            self._tally.connected -= 1
        self._retry()

    def data_received(self, data: bytes) -> None:
        """Takes the packets that are whole."""
        self._heard = self._loop.time()
        self._received += data
        for kind, body in self._packets():
            if kind == _PUBACK:
                self._acknowledged(body)
            elif kind == _CONNACK:
                self._connected(body)
            elif kind == _DISCONNECT and self._transport is not None:
                self._transport.close()

    def _packets(self) -> Iterator[tuple[int, bytes]]:
        while (found := _first(self._received)) is not None:
            head, end = found
            packet, self._received = self._received[:end], self._received[end:]
            yield packet[0] >> 4, packet[head:]

    def _connected(self, body: bytes) -> None:
        if body[1] >= _FAILURE:
            self._tally.refused += 1
            return
        self._up = True
        self._retry_s = _FIRST_RETRY_S
        self._tally.connected += 1
        again, self._flying = self._flying, 0
        self._send_more(again)

    def _acknowledged(self, body: bytes) -> None:
        if self._waiting.pop(int.from_bytes(body[:2], "big"), None) is None:
            return
        self._flying -= 1
        if len(body) > 2 and body[2] >= _FAILURE:
            self._tally.refused += 1
        else:
            self._tally.acknowledged += 1
            self._tally.heart.beat()
        self._send_more(0)

    def _send_more(self, again: int) -> None:
        """Sends what waits while there is room in flight; the first `again` of them were sent once before."""
        first = self._flying
        for place, packet in enumerate(itertools.islice(self._waiting.values(), first, _IN_FLIGHT), first):
            self._write((b"\x3a" if place < again else b"\x32") + packet)
            self._flying += 1

    def _write(self, packet: bytes) -> None:
        if self._transport is not None:
            self._sent = self._loop.time()
            self._transport.write(packet)

    def _look(self) -> None:
        """Keep-alive; and a broker that has not said anything for too long is gone."""
        now = self._loop.time()
        if self._transport is None:
            return
        if not self._up or now - self._heard > 2 * _KEEPALIVE_S:
            self._transport.abort()
            return
        if now - self._sent > _KEEPALIVE_S / 3:
            self._write(b"\xc0\x00")
        self._watch = self._loop.call_later(_KEEPALIVE_S / 3, self._look)


def _text(text: str) -> bytes:
    """A UTF-8 string with its length before it (MQTT 5.0, 1.5.4)."""
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def _first(received: bytes) -> tuple[int, int] | None:
    """Where the first packet's body begins and ends; None if it is not whole yet."""
    length = 0
    for place, byte in enumerate(received[1:5]):
        length |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            head = place + 2
            return (head, head + length) if len(received) >= head + length else None
    return None


def _connect_packet(client: str, user: str, password: str) -> bytes:
    """CONNECT with user and password, clean start, no properties (MQTT 5.0, 3.1)."""
    head = _text("MQTT") + b"\x05\xc2" + _KEEPALIVE_S.to_bytes(2, "big") + b"\0"
    body = head + _text(client) + _text(user) + _text(password)
    return b"\x10" + varint(len(body)) + body
