"""Recomputes closed panes from the raw store: late readings amend their rows, however late they are.

The aggregation job owns a pane until log time passes its end by the horizon; packs that come later are named on
`corrections`, with their position in the log. This worker waits until the raw store holds that position, folds the pane
from every reading there is, and publishes the row **onto `processed-data`**, never straight into a store. When a minute
has closed, it also compares what the stores hold of it (`closing`). Run with `python -m headwater.workers.corrections`.

What a recomputed row carries:

- `generation`: that of the stored row, and at least `HEADWATER_GENERATION`; within a generation a row only gains
  readings, so the recomputed one is never older;
- `as_of`: the largest log time among the readings that count. The job takes the largest of all packs, resent ones
  included; of two rows of one version the larger `as_of` stays, so an equal row of the job is kept;
- `dup`: what PostgreSQL holds for the row, 0 if there is none. Resent readings are not kept in the raw store, so they
  cannot be counted again; late ones that were resent are in no row's `dup`. It is information, and decides nothing.

With the pane of a device those of its fleets are recomputed, from the readings of all their members. So it is waited
until the raw store holds in every partition what came in time for the pane, and where devices belonged up to then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import psycopg
import stamina
import structlog
from clickhouse_connect.driver.client import Client
from confluent_kafka import KafkaException, TopicPartition
from prometheus_client import start_http_server

from headwater.heartbeat import Heartbeat
from headwater.logs import configure
from headwater.model import codec
from headwater.model.errors import BadRecord
from headwater.model.fleet import is_fleet
from headwater.model.pack import Aggregate, Correction
from headwater.model.settings import CorrectionsSettings
from headwater.model.stores import RAW_POSITIONS
from headwater.model.topics import CORRECTIONS, RAW
from headwater.raw.client import OUTAGES, Position, connect, edge, places_known, positions
from headwater.raw.panes import PaneKey, fleets_of, fold
from headwater.stopping import stop_event
from headwater.workers import corrections_meters as meters
from headwater.workers.closing import Closing
from headwater.workers.coalesce import Read, Waiting
from headwater.workers.corrections_topic import check, open_consumer, raise_if_it_matters
from headwater.workers.ends import committed, ends
from headwater.workers.publishing import DOOR, Publisher, Stopped
from headwater.workers.stored import StoredRows

_BATCH = 2_000
_POLL_S = 0.1
_LOST_S = 5.0
_FLEET_ROWS = 1_000
"""Most rows of fleets of a read: each is made of the readings of many devices."""
_HELD_S = 0.2
_GENERATION_S = 1.0
_EVERY_LOG = f"select log_partition, max(next_offset) from {RAW_POSITIONS} group by log_partition"  # noqa: S608
_AWAY: tuple[type[Exception], ...] = (*OUTAGES, psycopg.Error, KafkaException)


class Worker:
    """One consumer, one producer, one connection to each store, one thread. `run` blocks until the event is set.

    Guarantee: an offset is committed only when the rows of all corrections before it are on Kafka, so a killed worker
    does some of them again, which changes nothing, and forgets none. Outages are waited out: the worker lets go of all
    ends and starts again at the committed offsets. At most `HEADWATER_CORRECTIONS_HELD` corrections are in memory, and
    the rows of one read (`HEADWATER_CORRECTIONS_ROWS`).
    """

    def __init__(
        self, settings: CorrectionsSettings, stopping: threading.Event, generation: Callable[[], int] | None = None
    ) -> None:
        """`generation` says what `HEADWATER_GENERATION` is now: a rebuild raises it while the worker runs."""
        self._settings = settings
        self._generation = generation or (lambda: settings.generation)
        self._stopping = stopping
        self._log = structlog.get_logger(__name__)

    def run(self) -> None:
        """Until it is told to stop. An outage never ends it."""
        while not self._stopping.is_set():
            for attempt in stamina.retry_context(on=_AWAY, attempts=None, timeout=None, wait_initial=0.2, wait_max=5.0):
                with attempt:
                    self._session()

    def _session(self) -> None:
        """From the committed offsets to the end or an outage, which is raised if nothing was achieved (back off)."""
        achieved = 0
        consumer = open_consumer(self._settings)
        raw: Client | None = None
        stored: StoredRows | None = None
        try:
            raw, stored = connect(self._settings, "headwater-corrections"), StoredRows(self._settings)
            self._wait_for_the_lock(stored)
            session = Session(self._settings, consumer, raw, stored, self._stopping)
            for _ in session.run(self._generation):
                achieved += 1
        except Stopped:
            pass
        except _AWAY as error:
            meters.OUTAGES.inc()
            self._log.warning("corrections.outage", error=" ".join(str(error).split())[:500], kind=type(error).__name__)
            if not achieved and not self._stopping.is_set():
                raise
        finally:
            consumer.close()
            if stored is not None:
                stored.close()
            if raw is not None:
                raw.close()

    def _wait_for_the_lock(self, stored: StoredRows) -> None:
        heartbeat, said = Heartbeat(DOOR), False
        while not stored.only_one():
            heartbeat.beat()
            if not said:
                self._log.info("corrections.standby", detail="another instance is at work; taking over when it ends")
            said = True
            if self._stopping.wait(1):
                raise Stopped


class Session:
    """The work between two outages."""

    def __init__(
        self,
        settings: CorrectionsSettings,
        consumer: Any,
        raw: Client,
        stored: StoredRows,
        stopping: threading.Event,
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._raw = raw
        self._stored = stored
        self._stopping = stopping
        self._publisher = Publisher(settings.kafka, stopping)
        self._closing = Closing(settings, raw, stored, self._publisher, consumer)
        self._waiting = Waiting()
        self._since = 0.0
        self._done: dict[int, int] = {}
        self._heartbeat = Heartbeat(DOOR)
        self._looked_for_lost = self._asked_held = self._asked_generation = float("-inf")
        self._log = structlog.get_logger(__name__)

    def run(self, generation: Callable[[], int]) -> Iterator[None]:
        """The loop; yields each time that it has achieved something."""
        start = committed(self._consumer, CORRECTIONS)
        self._done = {place.partition: place.offset for place in start}
        self._consumer.assign(start)
        self._log.info("corrections.start", positions=self._done)
        while not self._stopping.is_set():
            self._gather()
            if time.monotonic() - self._asked_generation >= _GENERATION_S:
                self._stored.generation = generation()
                self._asked_generation = time.monotonic()
            if self._due() and self._is_held():
                self._work()
                yield
            self._closing.step(self._done)
            self._heartbeat.beat()
            meters.WAITING.set(self._waiting.count)

    def _gather(self) -> None:
        """Take in what has come, as far as there is room."""
        room = min(_BATCH, self._settings.corrections_held - self._waiting.count)
        if room <= 0:
            self._stopping.wait(_POLL_S)
            return
        for message in self._consumer.consume(room, _POLL_S):
            error = message.error()
            if error is not None:
                raise_if_it_matters(error)
                continue
            if not self._waiting.positions:
                self._since = time.monotonic()
            self._waiting.positions[message.partition()] = message.offset() + 1
            value = message.value()
            if value is None:
                continue
            meters.CORRECTIONS.inc()
            try:
                one = codec.decode(Correction, value)
                check(one)
            except BadRecord as bad:
                where = f"partition {message.partition()} offset {message.offset()}"
                self._publisher.bad_record(value, f"{where}: {bad}")
            else:
                self._waiting.add(one)

    def _due(self) -> bool:
        if not self._waiting.positions:
            return False
        waited_ms = (time.monotonic() - self._since) * 1_000
        return waited_ms >= self._settings.corrections_linger_ms or (
            self._waiting.count >= self._settings.corrections_held
        )

    def _is_held(self) -> bool:
        """Whether the raw store holds all that the rows are made of; refuses positions that it will never hold."""
        if time.monotonic() - self._asked_held < _HELD_S:
            return False
        self._asked_held = time.monotonic()
        held = positions(self._raw)
        ahead = [p for p, offset in self._waiting.needed.items() if p not in held or held[p].next_offset <= offset]
        if ahead and time.monotonic() - self._looked_for_lost >= _LOST_S:
            self._looked_for_lost = time.monotonic()
            self._refuse_the_lost(ahead)
            return not self._waiting.needed
        return not ahead and self._log_time(held) >= self._waiting.log_time

    def _log_time(self, held: Mapping[int, Position]) -> int:
        """Log time (epoch ms) up to which all partitions are in the raw store, and it is known who belonged where."""
        if len(held) < self._settings.partitions:
            return 0
        known = places_known(self._raw, self._settings.partitions)
        return min(known - 1, *(place.log_time for place in held.values()))

    def _refuse_the_lost(self, partitions: list[int]) -> None:
        """A position past the end of the log is one of a log that was there before: no store will ever reach it.

        Unless the raw store has read that other log: then its readings are there.
        """
        logs = ends(self._consumer, RAW)
        before: dict[int, int] = dict(self._raw.query(_EVERY_LOG).result_rows)  # type: ignore[arg-type]
        for partition in partitions:
            end = max(logs.get(partition, (0, 0))[1], before.get(partition, 0))
            for one in self._waiting.drop(partition, end):
                detail = (
                    f"expected a position of partition {partition} below {end}, got {one.offset}: the log was made "
                )
                self._publisher.refuse(
                    one, "not-in-log", f"{detail}anew, and the raw store has not seen the one before"
                )

    def _work(self) -> None:
        """Recompute all that waits; its offsets are committed when the rows are on Kafka."""
        rows, wanted = 0, set[PaneKey]()
        known = places_known(self._raw, self._settings.partitions)
        for read in self._waiting.reads(self._settings.corrections_rows):
            rows += self._publish(read, known)
            wanted |= self._fleets(read)
        fleets = Waiting()
        for key in wanted:
            fleets.want(key)
        for read in fleets.reads(_FLEET_ROWS):
            rows += self._publish(read, known)
        self._publisher.settle()
        places = [TopicPartition(CORRECTIONS.name, *each) for each in self._waiting.positions.items()]
        self._consumer.commit(offsets=places, asynchronous=False)
        self._done.update(self._waiting.positions)
        seconds = time.monotonic() - self._since
        meters.BATCH_SECONDS.observe(seconds)
        self._log.info("corrections.done", corrections=self._waiting.count, rows=rows, seconds=round(seconds, 2))
        self._waiting = Waiting()

    def _fleets(self, read: Read) -> set[PaneKey]:
        """The rows of fleets that are made of the same readings."""
        return {
            (tenant, fleet, metric, pane)
            for tenant, fleet, device, pane in fleets_of(self._raw, read.spans, read.metrics)
            for metric in read.metrics
            if (tenant, device, metric, pane) in read.wanted
        }

    def _publish(self, read: Read, known: int) -> int:
        rows = self._publisher.rows(self._recomputed(read, known))
        self._heartbeat.beat()
        if self._stopping.is_set():
            raise Stopped
        return rows

    def _recomputed(self, read: Read, known: int) -> list[Aggregate]:
        """The rows of a read in their next version. What retention has begun to remove is refused, not recomputed."""
        meters.READS.inc()
        folded = list(fold(self._raw, read.spans, read.metrics, known))
        # Asked after the read: an edge is written before anything is removed, so what lies behind it was whole.
        oldest = edge(self._raw)
        for one in read.asked:
            if one.pane < oldest and not is_fleet(one.device):
                detail = f"expected a pane from {oldest} on, got {one.pane}: HEADWATER_KEEP_RAW_DAYS is past"
                self._publisher.refuse(one, "past-retention", detail)
        versions = self._stored.versions(read.spans, read.metrics)
        rows = []
        for row in folded:
            if row.pane >= oldest and row.key in read.wanted:
                version = self._stored.next_version(versions, row.key)
                rows.append(msgspec.structs.replace(row, generation=version.generation, dup=version.dup))
        empty = read.wanted - {row.key for row in rows}
        absent = sorted(key for key in empty if key[3] >= oldest and not is_fleet(key[1]))
        if absent:
            meters.EMPTY.inc(len(absent))
            self._log.warning("corrections.empty", rows=len(absent), example=absent[:1])
        return rows


def main() -> None:
    """Runs until SIGTERM; what is half done then is done again by the next one."""
    settings = CorrectionsSettings()
    configure(settings.log_format)
    stopping = stop_event()
    if settings.corrections_metrics_port:
        start_http_server(settings.corrections_metrics_port, addr=settings.host)
    Worker(settings, stopping, lambda: CorrectionsSettings().generation).run()
    structlog.get_logger(__name__).info("corrections.closed")


if __name__ == "__main__":
    main()
