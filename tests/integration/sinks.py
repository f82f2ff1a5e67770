"""What the tests of the sinks share: rows, topics and databases."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

import psycopg
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.sinks.base import Sink
from connectors.sinks.consume import Runner
from headwater.model.pack import PANE_MS, Aggregate
from headwater.model.settings import SinkSettings
from headwater.stack.migrate import apply
from tests.integration.stores import Store

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
