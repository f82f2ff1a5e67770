"""The MQTT door: a bridge from the broker's queue to Kafka that acknowledges nothing before Kafka has it.

One persistent session (MQTT 5). The broker keeps what it has acknowledged to devices in this session until the bridge
acknowledges, which it does in the order of receipt, each message after the delivery reports of all its records. The
receive maximum bounds what is in flight: it is the back-pressure. Run with `python -m connectors.doors.mqtt`.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from concurrent.futures import Future
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import orjson
import paho.mqtt.client as paho
import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions
from prometheus_client import start_http_server

from connectors.doors import meters
from connectors.doors.core import ATTRIBUTES, TELEMETRY, Door, Outcome, described
from headwater.clock import now_ms
from headwater.garbage import collect_rarely
from headwater.logs import configure
from headwater.model.codec import VERSION
from headwater.model.event import EVENTS_TOPIC
from headwater.model.settings import DoorSettings
from headwater.model.topics import DEAD_LETTER, DEVICE_ATTRIBUTES, DEVICE_EVENTS, RAW
from headwater.stopping import stop_event

NEVER_S = 0xFFFF_FFFF
"""Session expiry interval that means: never."""

DRAIN_S = 10.0
_NO_RETAINED = 2
_log = structlog.get_logger()


class Bridge:
    """Moves messages from the broker to a door, and acknowledges in the order of receipt.

    Threads: paho's network thread calls `on_message` (never waits for Kafka); the door's polling thread resolves
    futures and writes the PUBACKs through `Client.ack`, which only appends to paho's queue and wakes its loop as
    long as the loop runs in paho's own thread (`loop_start`), so the order of the calls is the order on the wire.
    A message whose records Kafka did not take is never acknowledged: the bridge reconnects, and the broker sends it
    and all that came after it again. So a message may reach Kafka twice; stamped readings are recognised there.
    Messages of QoS 0 are promised nothing, and the receive maximum does not hold them back: of those at most as many
    wait for Kafka as of the others, and what comes beyond is dropped and counted.
    """

    def __init__(self, settings: DoorSettings, door: Door) -> None:
        self._settings = settings
        self._door = door
        self._lock = threading.Lock()
        self._waiting: deque[tuple[int, Future[Outcome]]] = deque()
        self._connected = False
        self._unpromised = 0
        self._generation = 0
        self._draining = False
        self._client = self._new_client()
        meters.IN_FLIGHT.set_function(lambda: len(self._waiting))

    def start(self) -> None:
        """Connects in the background and goes on trying until the broker is there."""
        address = urlsplit(self._settings.mqtt)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = NEVER_S
        properties.ReceiveMaximum = self._settings.bridge_receive_max
        self._client.connect_async(
            address.hostname or "127.0.0.1",
            address.port or 1883,
            keepalive=30,
            clean_start=False,
            properties=properties,
        )
        self._client.loop_start()

    def stop(self) -> None:
        """Takes no more messages, acknowledges what Kafka still reports within some seconds, and leaves.

        What is left unacknowledged stays in the session and comes again.
        """
        self._draining = True
        until = time.monotonic() + DRAIN_S
        while self._waiting and time.monotonic() < until:
            time.sleep(0.02)
        self._client.disconnect()
        self._client.loop_stop()

    def _new_client(self) -> paho.Client:
        settings = self._settings
        client = paho.Client(
            CallbackAPIVersion.VERSION2, settings.bridge_session, protocol=paho.MQTTv5, manual_ack=True
        )
        client.username_pw_set(settings.bridge_user, settings.bridge_password.get_secret_value())
        client.reconnect_delay_set(1, 2)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        return client

    def _on_connect(self, client: paho.Client, _data: Any, flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            _log.warning("broker refused the bridge", reason=str(reason))
            return
        self._forget_connection()
        with self._lock:
            self._connected = True
        _log.info("connected", session_present=flags.session_present)
        # Retained messages of before are no news: stored then, or older than the session.
        options = SubscribeOptions(qos=1, retainHandling=_NO_RETAINED)
        client.subscribe([(topics, options) for topics in filters(self._settings.bridge_filter)])

    def _on_subscribe(self, client: paho.Client, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        readings, *others = reasons
        if readings.is_failure:
            _log.error("broker refused the subscription", filter=self._settings.bridge_filter, reasons=str(reasons))
            threading.Thread(target=client.disconnect, daemon=True).start()
            return
        _log.info("subscribed", filter=self._settings.bridge_filter)
        if any(reason.is_failure for reason in others):
            # Another broker than ours: readings come all the same.
            _log.warning("broker gives no events or attributes of devices", reasons=str(reasons))

    def _on_disconnect(self, _client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._forget_connection()
        _log.warning("disconnected", reason=str(reason))

    def _forget_connection(self) -> None:
        """The ids of an ended connection mean nothing: the broker sends again what was not acknowledged."""
        with self._lock:
            self._connected = False
            self._generation += 1
            self._waiting.clear()

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        if self._draining or not (message.qos or self._has_room()):
            return
        now = now_ms()
        if message.topic == EVENTS_TOPIC:
            future = self._door.accept_event(bytes(message.payload), now)
        elif message.topic.endswith(f"/{ATTRIBUTES}"):
            future = self._door.accept_attributes(message.topic, bytes(message.payload), now)
        else:
            future = self._door.accept(message.topic, bytes(message.payload), now, promised=message.qos > 0)
        with self._lock:
            if message.qos:
                self._waiting.append((message.mid, future))
            else:
                self._unpromised += 1
        if not message.qos:
            future.add_done_callback(self._unpromised_done)
        future.add_done_callback(partial(self._reported, self._generation, message.topic))

    def _has_room(self) -> bool:
        room = self._unpromised < self._settings.bridge_receive_max
        if not room:
            meters.UNPROMISED.inc()
        return room

    def _unpromised_done(self, _future: Future[Outcome]) -> None:
        with self._lock:
            self._unpromised -= 1

    def _reported(self, generation: int, topic: str, future: Future[Outcome]) -> None:
        """A message is done: acknowledge it and those behind it that are done, in the order of receipt."""
        error = future.exception()
        if error is not None:
            _log.error("not acknowledged: Kafka did not take it, connecting anew", topic=topic, error=str(error))
            self._drop_connection(generation)
            return
        with self._lock:
            if generation != self._generation or not self._connected:
                return
            waiting = self._waiting
            while waiting and waiting[0][1].done() and waiting[0][1].exception() is None:
                self._client.ack(waiting.popleft()[0], 1)
                meters.ACKNOWLEDGED.inc()
            outcome = future.result()
            if outcome.refusals and outcome.device:
                self._client.publish(f"v1/{outcome.tenant}/{outcome.device}/errors", _errors(outcome), qos=0)

    def _drop_connection(self, generation: int) -> None:
        """Ends the connection without a DISCONNECT, so that paho's loop connects again after its delay."""
        with self._lock:
            if generation != self._generation or not self._connected:
                return
            self._connected = False
            socket: Any = self._client.socket()
        if socket is not None:
            try:
                socket.shutdown(2)
            except OSError:
                pass  # already gone: the loop sees it by itself


def filters(readings: str) -> list[str]:
    """What the bridge subscribes to: its filter of readings first, then attributes of the same devices, and events."""
    attributes = f"{readings.removesuffix(TELEMETRY)}{ATTRIBUTES}" if readings.endswith(f"/{TELEMETRY}") else None
    return [readings, *filter(None, [attributes]), EVENTS_TOPIC]


def _errors(outcome: Outcome) -> bytes:
    """What a device reads on its `errors` topic: what was refused and why."""
    refused = [{"reason": r.reason, "detail": described(r), "count": r.count} for r in outcome.refusals]
    return orjson.dumps({"v": VERSION, "sent": now_ms(), "taken": outcome.readings, "refused": refused})


def wait_for_kafka(settings: DoorSettings, stopping: threading.Event) -> None:
    """Returns when Kafka answers and has the door's topics (or when `stopping` is set)."""
    admin = AdminClient({"bootstrap.servers": settings.kafka, "log_level": 0})
    while not stopping.is_set():
        try:
            topics = admin.list_topics(timeout=2).topics
            missing = {RAW.name, DEAD_LETTER.name, DEVICE_EVENTS.name, DEVICE_ATTRIBUTES.name} - topics.keys()
            if not missing:
                return
            _log.warning("Kafka lacks topics, waiting", missing=sorted(missing))
        except KafkaException as error:
            _log.warning("Kafka does not answer, waiting", kafka=settings.kafka, error=str(error))
        stopping.wait(1)


def _die(reason: str) -> None:
    _log.critical("fatal, ending so that a fresh process takes over", reason=reason)
    sys.stdout.flush()
    os._exit(1)


def main() -> None:
    """Runs the bridge until SIGTERM, then drains and leaves with 0."""
    settings = DoorSettings()
    configure(settings.log_format)
    stopping = stop_event()
    if settings.bridge_metrics_port:
        start_http_server(settings.bridge_metrics_port, addr=settings.host)
    wait_for_kafka(settings, stopping)
    if stopping.is_set():
        return
    door = Door(settings, "mqtt", _die)
    bridge = Bridge(settings, door)
    bridge.start()
    collect_rarely()
    stopping.wait()
    bridge.stop()
    left = door.close()
    _log.info("stopped", unreported=left)


if __name__ == "__main__":
    main()
