"""How far each reader of the log is behind its end, in records."""

from __future__ import annotations

import threading

import structlog
from confluent_kafka import Consumer, TopicPartition

from api.state.cursor import Positions
from api.state.follow import client_settings, ends_of
from headwater.model.topics import ALERTS, PROCESSED, RAW, Topic

log = structlog.get_logger(__name__)

JOBS = ("aggregation", "alerting")
"""Jobs that read `raw-sensor-data`; each commits its offsets at each checkpoint, to the group `headwater-<job>`."""

_EVERY_S = 2.0


class LagWatch(threading.Thread):
    """Reads every two seconds where the topics end and what the jobs have committed.

    `jobs` is how many records of `raw-sensor-data` each job is behind, None while that is not known. `trouble` says
    what Kafka last answered with, None while all is well: it is this process's probe of Kafka.
    """

    def __init__(self, kafka: str) -> None:
        super().__init__(name="lag", daemon=True)
        self._kafka = kafka
        self._halt = threading.Event()
        self._ends: dict[str, Positions] = {}
        self.jobs: dict[str, int | None] = dict.fromkeys(JOBS)
        self.trouble: str | None = "not asked yet"

    def run(self) -> None:
        """Looks until stopped."""
        consumers: dict[str, Consumer] = {}
        while not self._halt.is_set():
            try:
                for job in JOBS:
                    consumers.setdefault(job, Consumer(client_settings(self._kafka, f"headwater-{job}")))
                self._look(consumers)
                self.trouble = None
            except Exception as error:
                if self.trouble != str(error):
                    log.warning("cannot read lag from Kafka, trying again", error=str(error))
                self.trouble, self.jobs = str(error), dict.fromkeys(JOBS)
            self._halt.wait(_EVERY_S)

    def stop(self) -> None:
        """Asks the thread to end."""
        self._halt.set()

    def behind(self, topic: Topic, positions: Positions) -> int | None:
        """Records of `topic` that a reader at `positions` has not seen; None while the end is not known."""
        ends = self._ends.get(topic.name)
        if not ends or not positions or self.trouble:
            return None
        return sum(max(0, end - positions.get(partition, 0)) for partition, end in ends.items())

    def _look(self, consumers: dict[str, Consumer]) -> None:
        any_of_them = consumers[JOBS[0]]
        for topic in (PROCESSED, RAW, ALERTS):
            ends = ends_of(any_of_them, topic.name)
            self._ends[topic.name] = {partition: high for partition, (_, high) in ends.items()}
        raw = self._ends[RAW.name]
        self.jobs = {job: _behind(raw, consumer) for job, consumer in consumers.items()}


def _behind(raw: Positions, consumer: Consumer) -> int | None:
    committed = consumer.committed([TopicPartition(RAW.name, partition) for partition in raw], timeout=5)
    known = {found.partition: found.offset for found in committed if found.offset >= 0}
    return sum(max(0, raw[p] - offset) for p, offset in known.items()) if known else None
