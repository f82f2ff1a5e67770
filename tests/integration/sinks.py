"""What the tests of the sinks share: rows, topics, databases, and one way to ask either store what it holds."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

import psycopg
import redis
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.sinks.base import Sink
from connectors.sinks.consume import Runner
from connectors.sinks.postgres import PostgresSink
from connectors.sinks.valkey import ValkeySink
from headwater.model.pack import PANE_MS, Aggregate
from headwater.model.settings import SinkSettings
from headwater.model.stores import devices_key, latest_key
from headwater.stack.migrate import apply

T0 = 1_790_000_000_000 // 86_400_000 * 86_400_000 + 12 * 3_600_000
"""A noon (UTC epoch ms) that lies within retention for the life of these tests."""


def row(tenant: str, device: str, metric: str = "t", pane: int = T0, **given: Any) -> Aggregate:
    """A row that agrees with itself: `count` values of `last`, evenly spread."""
    count, last = given.pop("count", 1), given.pop("last", 1.0)
    fields = {
        "v": 1,
        "generation": 1,
        "count": count,
        "sum": count * last,
        "sum_sq": count * last * last,
        "min": last,
        "max": last,
        "first_ms": pane,
        "last_ms": pane + count - 1,
        "last": last,
        "as_of": pane + 10 * count,
        "received": pane + 5 * count,
        "dup": 0,
    }
    return Aggregate(tenant=tenant, device=device, metric=metric, pane=pane, **{**fields, **given})


def fresh_database(server_url: str) -> str:
    """The URL of a new database with our schema, on the server that `server_url` names."""
    name = f"sinks_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    url = urlsplit(server_url)._replace(path=f"/{name}").geturl()
    apply(url)
    return url


def create_topics(bootstrap: str, names: list[str], partitions: int = 4) -> None:
    """Make the topics that are not there."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    missing = [name for name in names if name not in admin.list_topics(timeout=60).topics]
    wanted = [NewTopic(name, partitions, 1) for name in missing]
    for future in (admin.create_topics(wanted) if wanted else {}).values():
        future.result(60)


@contextmanager
def in_thread(sink: type[Sink], settings: SinkSettings) -> Iterator[None]:
    """A sink as its process runs it, in a thread, while the block lasts."""
    stop = Event()
    thread = Thread(target=Runner(sink(settings), settings).run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class PostgresStore:
    """PostgreSQL seen from outside."""

    outage = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'sink-postgres' and datname = current_database()"
    )

    def __init__(self, url: str) -> None:
        self.url = url
        self.settings = SinkSettings(postgres=url, sink_coalesce_ms=0, sink_rollup_ms=100, keep_10s_days=3_000)

    def sink(self) -> Sink:
        return PostgresSink(self.settings)

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement, values).fetchall()

    def rows(self, tenant: str) -> dict[tuple[str, str, int], tuple[int, int, float]]:
        """(device, metric, pane) -> (generation, count, last)."""
        found = self.query(
            "select device, metric, (extract(epoch from pane) * 1000)::bigint, generation, count, last"
            " from aggregate_10s where tenant = %s",
            tenant,
        )
        return {(device, metric, pane): tuple(rest) for device, metric, pane, *rest in found}

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    def kill_connections(self) -> None:
        self.query(self.outage)

    @contextmanager
    def refusing(self, tenant: str, device: str) -> Iterator[None]:
        """Meanwhile the store takes no row of this device."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            table = "alter table aggregate_10s"
            rule = f"check (tenant <> '{tenant}' or device <> '{device}') not valid"
            connection.execute(f"{table} add constraint refusing {rule}")
            try:
                yield
            finally:
                connection.execute(f"{table} drop constraint refusing")


class ValkeyStore:
    """Valkey seen from outside."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = redis.Redis.from_url(url, protocol=2)
        self.settings = SinkSettings(valkey=url)

    def sink(self) -> Sink:
        return ValkeySink(self.settings)

    def rows(self, tenant: str) -> dict[tuple[str, str, int], tuple[int, int, float]]:
        """(device, metric, pane) -> (generation, count, last)."""
        found = {}
        for device in self.client.smembers(devices_key(tenant)):
            for metric, text in self.client.hgetall(latest_key(tenant, device.decode())).items():
                held = json.loads(text)
                found[device.decode(), metric.decode(), held["pane"]] = (
                    held["generation"],
                    held["count"],
                    held["last"],
                )
        return found

    def kill_connections(self) -> None:
        for client in self.client.client_list():
            if client["name"] == "sink-valkey":
                self.client.client_kill_filter(_id=client["id"])

    @contextmanager
    def refusing(self, tenant: str, device: str) -> Iterator[None]:
        """Meanwhile the store takes no row of this device."""
        key = latest_key(tenant, device)
        held = self.client.hgetall(key)
        self.client.delete(key)
        self.client.set(key, "not a hash")
        try:
            yield
        finally:
            self.client.delete(key)
            if held:
                self.client.hset(key, mapping=held)


Store = PostgresStore | ValkeyStore


@contextmanager
def opened(store: Store) -> Iterator[Sink]:
    """A sink that is ready to write."""
    sink = store.sink()
    sink.positions()
    try:
        yield sink
    finally:
        sink.disconnect()


def panes(count: int, start: int = T0) -> list[int]:
    return [start + number * PANE_MS for number in range(count)]
