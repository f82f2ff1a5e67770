"""Publishes the outbox of PostgreSQL, in order, and every device and rule again from time to time.

Whatever wants a record on Kafka with a change in PostgreSQL writes it into the outbox (`headwater.outbox`); this worker
does not know what the records say. Run with `python -m headwater.workers.registry`.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import stamina
import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from connectors.doors.core import producer_config
from headwater import outbox, rule_store
from headwater.heartbeat import Heartbeat
from headwater.logs import configure
from headwater.model.settings import RegistrySettings
from headwater.model.topics import DEVICE_REGISTRY
from headwater.registry import history
from headwater.registry.records import BEGIN, Place, republish
from headwater.stopping import stop_event
from headwater.workers.publishing import Stopped

NAME = "registry"

_BATCH = 500
_IDLE_S = 1.0
_POLL_S = 0.1
_ASK_S = 5.0
_TRIM_S = 3_600.0
_LOCK = "headwater outbox"
_AWAY: tuple[type[Exception], ...] = (psycopg.Error, KafkaException)


class Worker:
    """One connection, one producer, one thread. `run` blocks until the event is set.

    Guarantee: a record is deleted from the outbox once every replica of Kafka has it, so none is lost, and a worker
    that was killed publishes its last batch again. The records of a key keep their order; a batch that is published
    again begins at its own oldest record. Outages of either server are waited out. One worker is at work at a time
    (a lock of PostgreSQL); others stand by.
    """

    def __init__(self, settings: RegistrySettings, stopping: threading.Event) -> None:
        self._settings = settings
        self._stopping = stopping
        self._heart = Heartbeat(NAME)
        self._log = structlog.get_logger(__name__)

    def run(self) -> None:
        """Until it is told to stop. An outage never ends it."""
        while not self._stopping.is_set():
            for attempt in stamina.retry_context(on=_AWAY, attempts=None, timeout=None, wait_initial=0.2, wait_max=5.0):
                with attempt:
                    self._session()

    def _session(self) -> None:
        """Until the end or an outage, which is raised."""
        try:
            with psycopg.connect(
                self._settings.postgres.get_secret_value(),
                autocommit=True,
                connect_timeout=5,
                application_name="headwater-registry",
                options="-c statement_timeout=60s",
                keepalives_idle=10,
            ) as conn:
                self._wait_for_the_lock(conn)
                conn.execute(f"listen {outbox.CHANNEL}")
                self._log.info("registry.ready")
                Session(self._settings, conn, self._stopping).run(self._heart)
        except Stopped:
            pass
        except _AWAY as error:
            if not self._stopping.is_set():
                said = " ".join(str(error).split())[:500]
                self._log.warning("registry.outage", error=said, kind=type(error).__name__)
                raise

    def _wait_for_the_lock(self, conn: psycopg.Connection[Any]) -> None:
        said = False
        while conn.execute("select pg_try_advisory_lock(hashtext(%s))", (_LOCK,)).fetchone() != (True,):
            self._heart.beat()
            if not said:
                self._log.info("registry.standby", detail="another instance is at work; taking over when it ends")
            said = True
            if self._stopping.wait(_IDLE_S):
                raise Stopped


class Session:
    """The work between two outages."""

    def __init__(self, settings: RegistrySettings, conn: psycopg.Connection[Any], stopping: threading.Event) -> None:
        self._every_s = settings.registry_republish_ms / 1_000
        self._conn = conn
        self._stopping = stopping
        self._producer = Producer(producer_config(settings.kafka))
        self._failed: KafkaError | None = None
        self._next_pass = self._next_trim = 0.0
        self._keep_each = settings.keep_versions_each
        self._place: Place | None = None

    def run(self, heart: Heartbeat) -> None:
        """Publishes what there is, then waits to be told of more."""
        while not self._stopping.is_set():
            while self._publish():
                heart.beat()
            self._forget()
            if not self._write_again():
                self._producer.list_topics(DEVICE_REGISTRY.name, timeout=_ASK_S)  # raises while Kafka is away
                heart.beat()
                list(self._conn.notifies(timeout=_IDLE_S, stop_after=1))

    def _publish(self) -> bool:
        """One batch from the outbox to Kafka; false if there was nothing."""
        batch = outbox.oldest(self._conn, _BATCH)
        if not batch:
            return False
        for one in batch:
            self._producer.produce(one.topic, one.value.encode(), one.key.encode(), on_delivery=self._reported)
        while self._producer.flush(_POLL_S):
            if self._stopping.is_set():
                raise Stopped
        if self._failed is not None:
            raise KafkaException(self._failed)
        outbox.done(self._conn, batch)
        return True

    def _forget(self) -> None:
        if time.monotonic() >= self._next_trim:
            history.trim(self._conn, self._keep_each)
            self._next_trim = time.monotonic() + _TRIM_S

    def _write_again(self) -> bool:
        """All rules, or some more unchanged devices, into the outbox, if a pass is due or under way."""
        if self._place is None:
            if time.monotonic() < self._next_pass:
                return False
            rule_store.republish(self._conn)
            self._place, self._next_pass = BEGIN, time.monotonic() + self._every_s
        self._place = republish(self._conn, self._place, _BATCH)
        return True

    def _reported(self, error: KafkaError | None, _message: object) -> None:
        self._failed = error or self._failed


def main() -> None:
    """The process: until SIGTERM."""
    settings = RegistrySettings()
    configure(settings.log_format)
    Worker(settings, stop_event()).run()
    structlog.get_logger(__name__).info("stopped")


if __name__ == "__main__":
    main()
