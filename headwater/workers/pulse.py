"""Keeps log time moving while devices are silent: some beats a second to every partition where log time is made.

A beat on `raw-sensor-data` is a pack of the reserved tenant `_pulse`, so that it passes through the aggregation job
like any device and comes out as the log time of its partition. Beats carry no data: a lost one is made up by the next.
Run with `python -m headwater.workers.pulse`.
"""

from __future__ import annotations

import threading
import time

import msgspec
import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient

from headwater.clock import now_ms
from headwater.heartbeat import Heartbeat
from headwater.logs import configure
from headwater.model.codec import VERSION, device_key, encode
from headwater.model.pack import PULSE_TENANT, Pack, pane_of
from headwater.model.settings import PulseSettings
from headwater.model.topics import ALL, RAW, Topic
from headwater.stopping import stop_event

BEATS = tuple(topic for topic in ALL if topic.first_append)
"""The topics that get a beat."""

_LOOK_S = 30.0
_log = structlog.get_logger()


def beat(topic: Topic, partition: int, now_ms: int) -> tuple[bytes, bytes]:
    """Key and value of a beat at `now_ms` (UTC epoch ms) for one partition."""
    device = f"{topic.name}-{partition}"
    key = device_key(PULSE_TENANT, device)
    if topic is not RAW:
        return key, msgspec.json.encode({"v": VERSION, "tenant": PULSE_TENANT, "beat": now_ms})
    pane = pane_of(now_ms)
    pack = Pack(
        v=VERSION,
        tenant=PULSE_TENANT,
        device=device,
        pane=pane,
        at=[now_ms - pane],
        metrics={"beat": [1.0]},
        received=now_ms,
    )
    return key, encode(pack)


class Pulse:
    """Beats until it is told to stop. Topics that do not exist yet are looked for again."""

    def __init__(self, settings: PulseSettings) -> None:
        self._every_s = settings.pulse_ms / 1_000
        self._admin = AdminClient({"bootstrap.servers": settings.kafka, "log_level": 0})
        # A beat that could not be sent for some seconds is worth nothing: newer ones follow.
        self._producer = Producer(
            {"bootstrap.servers": settings.kafka, "acks": "all", "linger.ms": 0, "message.timeout.ms": 5_000}
        )
        self._partitions: dict[str, int] = {}
        self._failing = False
        self._heart = Heartbeat("pulse")

    def run(self, stopping: threading.Event) -> None:
        """Beats at a steady rhythm; beats missed while the machine slept are not made up."""
        looked = 0.0
        due = time.monotonic()
        while not stopping.wait(max(0.0, due - time.monotonic())):
            if time.monotonic() - looked > _LOOK_S or len(self._partitions) < len(BEATS):
                self._look()
                looked = time.monotonic()
            self._beat(now_ms())
            due = max(due + self._every_s, time.monotonic())
        self._producer.flush(2)

    def _look(self) -> None:
        try:
            topics = self._admin.list_topics(timeout=2).topics
        except KafkaException as error:
            _log.warning("Kafka does not answer", error=str(error))
            return
        found = {topic.name: len(topics[topic.name].partitions) for topic in BEATS if topic.name in topics}
        if found != self._partitions:
            _log.info("beating", partitions=found)
        self._partitions = found

    def _beat(self, now_ms: int) -> None:
        for topic in BEATS:
            for partition in range(self._partitions.get(topic.name, 0)):
                key, value = beat(topic, partition, now_ms)
                try:
                    self._producer.produce(topic.name, value, key, partition=partition, on_delivery=self._reported)
                except BufferError:
                    pass  # Kafka is away and the queue is full of beats: this one is not needed
        self._producer.poll(0)

    def _reported(self, error: KafkaError | None, _message: Message) -> None:
        failing = error is not None
        if not failing:
            self._heart.beat()
        if failing != self._failing:
            _log.warning("beats do not arrive" if failing else "beats arrive again", error=str(error))
        self._failing = failing


def main() -> None:
    """The process: beats until SIGTERM."""
    settings = PulseSettings()
    configure(settings.log_format)
    stopping = stop_event()
    Pulse(settings).run(stopping)
    _log.info("stopped")


if __name__ == "__main__":
    main()
