"""What the test of rebuilds needs: a log that never rests, and observers that remember every row that they saw."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import psycopg
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from api.state.held import HeldRows
from api.state.live import LiveLog
from connectors.sinks.base import Sink
from connectors.sinks.consume import Runner
from headwater.model import codec
from headwater.model.device import DeviceRecord
from headwater.model.pack import PANE_MS, Aggregate, Pack
from headwater.model.settings import SinkSettings
from headwater.model.topics import DEVICE_REGISTRY, PROCESSED, RAW, Topic
from headwater.truth.reference import Key, Record, Reference, Registry

DEVICES = 8
SITES = ("north", "south")
PARTITIONS = 4

Seen = dict[Key, list[tuple[int, int]]]
"""(generation, count) of each row, as they were seen, repeats left out."""


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[list[BaseException]]:
    """`work` in a thread until the end of the block; what it raised is raised then."""
    stop, failures = threading.Event(), []

    def run() -> None:
        try:
            work(stop)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield failures
    finally:
        stop.set()
        thread.join(60)
    if failures:
        raise failures[0]


class Load:
    """Devices that send packs of now, some of them again, some of them long after their pane has ended.

    Two of them move from site to site meanwhile.
    """

    def __init__(self, bootstrap: str, tenant: str, seed: int, latest_ms: int) -> None:
        self.tenant, self._rng, self._latest_ms = tenant, random.Random(seed), latest_ms
        self._producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 2})
        self._later: list[tuple[float, Pack]] = []
        self._panes: dict[str, int] = {}
        self._version = 0

    def run(self, stop: threading.Event) -> None:
        """A round each 50 ms."""
        for number in range(DEVICES):
            self._place(f"d{number}", SITES[number % 2])
        rounds = 0
        while not stop.wait(0.05):
            now, rounds = time.time_ns() // 1_000_000, rounds + 1
            if rounds % 40 == 0:
                self._place(f"d{rounds // 40 % 2}", self._rng.choice(SITES))
            for number in range(DEVICES):
                self._round(f"d{number}", now)
            for due, pack in [one for one in self._later if one[0] <= now]:
                self._send(pack)
                self._later.remove((due, pack))
        for _, pack in self._later:
            self._send(pack)
        assert self._producer.flush(120) == 0

    def _round(self, device: str, now: int) -> None:
        rng, pane = self._rng, now - now % PANE_MS
        most, first = now - pane + 1, self._panes.get(device) != pane
        self._panes[device] = pane
        # The first is small and comes at once: with any cap the pane has a row, whenever the load ends.
        at = sorted(rng.sample(range(most), 1 if first else min(most, rng.randrange(1, 6))))
        metrics = {name: [round(rng.gauss(20, 5), 3) for _ in at] for name in ("a", "b")}
        pack = Pack(v=1, tenant=self.tenant, device=device, pane=pane, at=at, metrics=metrics, received=now)
        draw = 1.0 if first else rng.random()
        if draw < 0.15:
            self._later.append((now + rng.randrange(PANE_MS, self._latest_ms), pack))
            return
        self._send(pack)
        if draw < 0.25:
            self._later.append((now + rng.randrange(1, self._latest_ms), pack))

    def _place(self, device: str, site: str) -> None:
        self._version += 1
        said = DeviceRecord(
            v=1, tenant=self.tenant, device=device, version=self._version, changed_ms=0, site=site, model="m"
        )
        self._producer.produce(DEVICE_REGISTRY.name, codec.encode(said), codec.device_key(self.tenant, device))

    def _send(self, pack: Pack) -> None:
        self._producer.produce(RAW.name, codec.encode(pack), codec.device_key(pack.tenant, pack.device))
        self._producer.poll(0)


def sinking(sink: Sink, settings: SinkSettings) -> Callable[[threading.Event], None]:
    return lambda stop: Runner(sink, settings).run(stop)


def watching_postgres(url: str, tenant: str, seen: Seen) -> Callable[[threading.Event], None]:
    """Looks at the rows of a tenant again and again, as a reader of the API would."""

    def run(stop: threading.Event) -> None:
        query = (
            "select device, metric, (extract(epoch from pane) * 1000)::bigint, generation, count"
            " from aggregate_10s where tenant = %s"
        )
        with psycopg.connect(url, autocommit=True) as connection:
            while not stop.wait(0.05):
                for device, metric, pane, *version in connection.execute(query, [tenant]).fetchall():
                    note(seen, (tenant, device, metric, pane), tuple(version))

    return run


def note(seen: Seen, key: Key, version: tuple[int, int]) -> None:
    history = seen.setdefault(key, [])
    if not history or history[-1] != version:
        history.append(version)


class NothingHeld(HeldRows):
    """The control: a live core that shows everything at once."""

    def holds(self, generation: int) -> bool:
        return False


def watching_live(bootstrap: str, tenant: str, seen: Seen, hold: bool = True) -> Callable[[threading.Event], None]:
    """Folds `processed-data` as the API does and notes every change that it would send."""

    def run(stop: threading.Event) -> None:
        live = LiveLog(200_000, PARTITIONS)
        if not hold:
            live._held = NothingHeld(1, PARTITIONS)
        consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"watch-{tenant}-{hold}"})
        consumer.assign([TopicPartition(PROCESSED.name, partition, 0) for partition in range(PARTITIONS)])
        while not stop.is_set():
            changes = []
            for message in consumer.consume(2_000, 0.05):
                assert message.error() is None
                row = codec.decode(Aggregate, message.value())
                changes.append(live.fold(message.partition(), message.offset(), row))
            for change in [*changes, *live.release()]:
                if change is not None and change.device.tenant == tenant:
                    key = (tenant, change.device.name, change.cells.metric, change.cells.pane)
                    note(seen, key, change.version)
        consumer.close()

    return run


def drops(seen: Seen) -> list[tuple[Key, int, tuple[int, int]]]:
    """(key, count before, version after) wherever a count was seen to shrink."""
    return [
        (key, before[1], after)
        for key, history in seen.items()
        for before, after in pairwise(history)
        if after[1] < before[1]
    ]


def messages(bootstrap: str, topic: Topic, tenant: str) -> Iterator[Message]:
    """Every record of a topic that is of a tenant."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "whole", "enable.auto.commit": False})
    for partition in range(PARTITIONS):
        low, high = consumer.get_watermark_offsets(TopicPartition(topic.name, partition), 30)
        consumer.assign([TopicPartition(topic.name, partition, low)])
        while low < high:
            for message in consumer.consume(2_000, 0.2):
                low = message.offset() + 1
                if (message.key() or b"").startswith(f"{tenant}/".encode()):
                    yield message
    consumer.close()


def whole_log(bootstrap: str, tenant: str) -> list[Record]:
    """Every pack of a tenant with its place and log time."""
    found = [
        Record(codec.decode(Pack, one.value()), one.partition(), one.offset(), one.timestamp()[1])
        for one in messages(bootstrap, RAW, tenant)
    ]
    return sorted(found, key=lambda record: record.log_time)


def whole_registry(bootstrap: str, tenant: str) -> Registry:
    """All that was said of the devices of a tenant."""
    registry = Registry()
    for one in messages(bootstrap, DEVICE_REGISTRY, tenant):
        registry.take(codec.decode(DeviceRecord, one.value()), one.timestamp()[1])
    return registry


def folded(
    log: list[Record], registry: Registry, horizon_ms: int, cap: int, ends: dict[str, int] | None = None
) -> dict[Key, int]:
    """The count of each row, of packs with at most `cap` stamps; with `ends` (partition -> offset) of the log then."""
    reference = Reference(horizon_ms, registry=registry)
    for record in log:
        if len(record.pack.at) <= cap and (ends is None or record.offset < ends[str(record.partition)]):
            reference.take(record)
    return {key: row.count for key, row in reference.rows().items()}
