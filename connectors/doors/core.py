"""The one way in: `Door.accept` takes a message of any protocol and says when Kafka has it.

A protocol is a file beside this one that calls `accept` and acknowledges when the future is done. Nothing else writes
to `raw-sensor-data`, except the pulse. Events of the broker go the same way to `device-events`, and what devices say of
themselves to `device-attributes`.
"""

from __future__ import annotations

import base64
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.doors import meters
from connectors.doors.attributes import attributes_of
from connectors.doors.cut import Arrival
from connectors.doors.decode import Decoded, Refusal, decode
from connectors.doors.limits import MAX_NAME, Limits, name_allowed
from headwater.model.codec import VERSION, device_key, encode
from headwater.model.codec import decode as decode_record
from headwater.model.device import ClientAttributes
from headwater.model.errors import BadRecord, Refused
from headwater.model.event import EVENTS_TOPIC, DeviceEvent
from headwater.model.message import HEADER, MOST_PARTS, mark, message_id
from headwater.model.pack import DeadLetter
from headwater.model.settings import DoorSettings
from headwater.model.topics import DEAD_LETTER, DEVICE_ATTRIBUTES, DEVICE_EVENTS, RAW

DEVICES_REMEMBERED = 100_000
"""Devices whose last stamp is remembered; the one unheard of for longest is forgotten first."""

TELEMETRY, ATTRIBUTES = "telemetry", "attributes"
"""The last level of a device's topics."""

_POLL_S = 0.1
_log = structlog.get_logger()


@dataclass(frozen=True)
class Outcome:
    """What became of a message that Kafka has: whose it is ("" if the topic does not say), readings taken, refusals."""

    tenant: str
    device: str
    readings: int
    refusals: list[Refusal]


def producer_config(bootstrap: str) -> dict[str, Any]:
    """How a door produces: every replica acknowledges, order kept, no copies by retries, and no giving up.

    The local queue has no limit: doors bound what is in flight (receive maximum), and a full queue would refuse
    records in the middle of a message.
    """
    return {
        "bootstrap.servers": bootstrap,
        "acks": "all",
        "enable.idempotence": True,
        "retries": 2_147_483_647,
        "message.timeout.ms": 0,
        "message.max.bytes": DEAD_LETTER.max_bytes,
        "partitioner": "murmur2_random",
        "compression.type": "lz4",
        "linger.ms": 5,
        "queue.buffering.max.messages": 0,
        "queue.buffering.max.kbytes": 2_147_483_647,
    }


class _Pending:
    """Counts the delivery reports that a message still waits for; resolves its future with the last one."""

    __slots__ = ("error", "future", "left", "outcome")

    def __init__(self, outcome: Outcome, left: int) -> None:
        self.future: Future[Outcome] = Future()
        self.outcome = outcome
        self.left = left
        self.error: KafkaError | None = None

    def report(self, error: KafkaError | None, _message: Message | None) -> None:
        """One record is done. Called in the polling thread only."""
        if error is not None and self.error is None:
            self.error = error
        self.left -= 1
        if self.left <= 0 and not self.future.done():
            self.resolve()

    def resolve(self) -> None:
        if self.error is None:
            self.future.set_result(self.outcome)
        else:
            self.future.set_exception(KafkaException(self.error))


class Door:
    """Takes messages, puts their readings on `raw-sensor-data` and what it refuses on `dead-letter`.

    Guarantee: a future resolves only after Kafka has reported every record of its message (`acks=all`, idempotent), so
    who acknowledges then, and only then, loses nothing and keeps nothing back for ever. Records of one device are
    written in the order of the calls. `accept` is for one thread at a time; it never waits for Kafka.
    A fatal error of the producer means that order and once-only can no longer be kept: `on_fatal` must end the process.
    """

    def __init__(self, settings: DoorSettings, name: str, on_fatal: Callable[[str], None]) -> None:
        self._limits = Limits.of(settings)
        self._name = name
        self._on_fatal = on_fatal
        self._last: OrderedDict[bytes, int] = OrderedDict()
        own = {"linger.ms": settings.door_linger_ms, "error_cb": self._on_error}
        self._producer = Producer({**producer_config(settings.kafka), **own})
        self._closing = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="delivery-reports", daemon=True)
        self._poller.start()

    def accept(self, topic: str, payload: bytes, received_ms: int, promised: bool = True) -> Future[Outcome]:
        """Decodes a message and hands its records to Kafka; the future is done when Kafka has reported all of them.

        Each record says in a header which message it is a part of (`headwater.model.message`), unless nothing was
        `promised` to the sender (QoS 0): such a message may rightly be left half done.

        `topic` is `v1/{tenant}/{device}/telemetry`, `received_ms` the time of arrival (UTC epoch ms). Bad data is an
        outcome with refusals. The future fails with `KafkaException` only if a record could not be written: then the
        message must not be acknowledged. Its callbacks run in the thread that polls delivery reports, in the order of
        the reports.
        """
        named = _parts(topic, TELEMETRY)
        if named is None:
            tenant, device, key = "", "", b""
            decoded = Decoded([], [_bad_topic(topic, TELEMETRY)], 0, 0)
        else:
            tenant, device, key = named
            arrival = Arrival(tenant, device, received_ms, self._last.get(key, 0))
            decoded = decode(payload, arrival, self._limits)
            self._remember(key, decoded.last_ms)
        letters = [self._letter(refusal, topic, tenant, device, received_ms, payload) for refusal in decoded.refusals]
        records = [(RAW.name, encode(pack)) for pack in decoded.packs]
        records += [(DEAD_LETTER.name, encode(letter)) for letter in letters]
        self._count(decoded)
        outcome = Outcome(tenant, device, decoded.readings, decoded.refusals)
        message = message_id(topic, payload) if promised and len(records) <= MOST_PARTS else None
        return self._produce(key, records, message, outcome)

    def accept_attributes(self, topic: str, payload: bytes, received_ms: int) -> Future[Outcome]:
        """Hands what a device says of itself to Kafka, whole or as a dead letter; the future is as of `accept`."""
        meters.ATTRIBUTES.inc()
        tenant, device, key = _parts(topic, ATTRIBUTES) or ("", "", b"")
        try:
            if not key:
                bad = _bad_topic(topic, ATTRIBUTES)
                raise Refused(bad.reason, bad.detail)
            said = ClientAttributes(
                v=VERSION, tenant=tenant, device=device, received=received_ms, attributes=attributes_of(payload)
            )
        except Refused as refused:
            refusal = Refusal(refused.reason, refused.detail)
            meters.REFUSED.labels(refusal.reason).inc()
            meters.DEAD_LETTERS.labels(refusal.reason).inc()
            letter = self._letter(refusal, topic, tenant, device, received_ms, payload)
            return self._produce(key, [(DEAD_LETTER.name, encode(letter))], None, Outcome(tenant, device, 0, [refusal]))
        return self._produce(key, [(DEVICE_ATTRIBUTES.name, encode(said))], None, Outcome(tenant, device, 0, []))

    def accept_event(self, payload: bytes, received_ms: int) -> Future[Outcome]:
        """Hands an event of the broker (`headwater.model.event`) to Kafka as it came; the future is as of `accept`."""
        outcome = Outcome("", "", 0, [])
        meters.EVENTS.inc()
        try:
            event = decode_record(DeviceEvent, payload)
        except BadRecord as bad:
            refusal = Refusal("bad-record", str(bad))
            letter = self._letter(refusal, EVENTS_TOPIC, "", "", received_ms, payload)
            meters.DEAD_LETTERS.labels(refusal.reason).inc()
            return self._produce(b"", [(DEAD_LETTER.name, encode(letter))], None, outcome)
        key = device_key(event.tenant, event.device)
        return self._produce(key, [(DEVICE_EVENTS.name, payload)], None, outcome)

    def close(self, timeout_s: float = 10.0) -> int:
        """Waits for outstanding reports at most `timeout_s`; returns how many records are still unreported."""
        left: int = self._producer.flush(timeout_s)
        self._closing.set()
        self._poller.join()
        return left

    def _produce(
        self, key: bytes, records: list[tuple[str, bytes]], message: bytes | None, outcome: Outcome
    ) -> Future[Outcome]:
        count = len(records)
        pending = _Pending(outcome, count)
        if not records:
            pending.resolve()
        for index, (kafka_topic, value) in enumerate(records):
            headers: list[tuple[str, Any]] | None = [(HEADER, mark(message, index, count))] if message else None
            try:
                self._producer.produce(kafka_topic, value, key, on_delivery=pending.report, headers=headers)
            except (BufferError, KafkaException) as error:
                # What was not handed over never gets a report; the reports of the rest may come or not.
                _log.error("record not handed to Kafka", topic=kafka_topic, error=str(error), left=count - index)
                pending.future.set_exception(error)
                break
        return pending.future

    def _remember(self, key: bytes, last_ms: int) -> None:
        self._last[key] = last_ms
        self._last.move_to_end(key)
        if len(self._last) > DEVICES_REMEMBERED:
            self._last.popitem(last=False)

    def _letter(
        self, refusal: Refusal, topic: str, tenant: str, device: str, received_ms: int, payload: bytes
    ) -> DeadLetter:
        return DeadLetter(
            v=VERSION,
            reason=refusal.reason,
            detail=described(refusal),
            topic=topic,
            tenant=tenant,
            device=device,
            door=self._name,
            received=received_ms,
            payload=base64.b64encode(payload).decode(),
        )

    def _count(self, decoded: Decoded) -> None:
        meters.MESSAGES.inc()
        meters.READINGS.inc(decoded.readings)
        meters.RECORDS.inc(len(decoded.packs))
        for refusal in decoded.refusals:
            meters.REFUSED.labels(refusal.reason).inc(refusal.count)
            meters.DEAD_LETTERS.labels(refusal.reason).inc()

    def _poll(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(_POLL_S)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._on_fatal(f"Kafka producer: {error.str()}")
        else:
            _log.warning("Kafka producer", error=error.str())


def described(refusal: Refusal) -> str:
    """The detail of a refusal with its count, as it stands in dead letters and in messages to devices."""
    return refusal.detail if refusal.count == 1 else f"{refusal.count} readings; the first: {refusal.detail}"


@lru_cache(maxsize=65_536)
def _parts(topic: str, last: str) -> tuple[str, str, bytes] | None:
    """(tenant, device, key) of a topic with that last level; None if it is none, or names what may not be named."""
    parts = topic.split("/")
    if len(parts) != 4 or parts[0] != "v1" or parts[3] != last:
        return None
    tenant, device = parts[1], parts[2]
    if not name_allowed(tenant) or not name_allowed(device):
        return None
    return tenant, device, device_key(tenant, device)


def _bad_topic(topic: str, last: str) -> Refusal:
    return Refusal(
        "bad-topic",
        f"expected v1/{{tenant}}/{{device}}/{last}, names of 1 to {MAX_NAME} characters and no leading _, "
        f"got {topic[:200]!a}; publish there",
    )
