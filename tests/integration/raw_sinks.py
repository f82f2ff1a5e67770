"""What the tests of the raw store share: packs on a log, a store of their own, and the plain reading of both."""

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from confluent_kafka import Producer

from connectors.sinks.clickhouse import ClickHouseSink, Record
from headwater.model import codec
from headwater.model.codec import device_key
from headwater.model.pack import PULSE_TENANT, Pack
from headwater.model.settings import SinkSettings
from headwater.model.topics import RAW
from headwater.raw.client import connect_to
from headwater.stack.clickhouse import migrate
from tests.integration.sinks import T0

Reading = tuple[str, str, str, str, int]
"""tenant, device, metric, kind, ts."""


class RawStore:
    """ClickHouse seen from outside."""

    def __init__(self, url: str, **more: Any) -> None:
        self.url = url
        self.settings = SinkSettings(clickhouse=url, **{"keep_raw_days": 3_000, **more})

    def sink(self) -> ClickHouseSink:
        return ClickHouseSink(self.settings)

    def query(self, statement: str, **given: Any) -> list[tuple[Any, ...]]:
        client = connect_to(self.url)
        try:
            return [tuple(row) for row in client.query(statement, given).result_rows]
        finally:
            client.close()

    def execute(self, statement: str) -> None:
        client = connect_to(self.url)
        client.command(statement)
        client.close()

    def readings(self, tenant: str) -> dict[Reading, Any]:
        """What is held, folded."""
        found = self.query(
            "select tenant, device, metric, kind, ts, value, text from reading final where tenant = {tenant:String}",
            tenant=tenant,
        )
        values = {"number": lambda value, _: value, "flag": lambda value, _: value == 1.0, "text": lambda _, text: text}
        return {tuple(row[:5]): values[row[3]](*row[5:]) for row in found}


def fresh_store(server_url: str, **more: Any) -> RawStore:
    """A raw store of its own on the server that `server_url` names."""
    name = f"raw_{uuid.uuid4().hex[:12]}"
    client = connect_to(server_url)
    client.command(f"create database {name}")
    client.close()
    url = urlsplit(server_url)._replace(path=f"/{name}").geturl()
    migrate(url)
    return RawStore(url, **more)


def pack(tenant: str, device: str = "d", pane: int = T0, at: Iterable[int] = (5,), **given: Any) -> Pack:
    at = list(at)
    if not given.keys() & {"metrics", "texts", "flags"}:
        given["metrics"] = {"t": [float(offset) for offset in at]}
    return Pack(v=1, tenant=tenant, device=device, pane=pane, at=at, **{"received": pane + 12_000, **given})


def records(packs: Iterable[Pack | bytes], first: int = 0, partition: int = 0) -> list[Record]:
    """The packs as they lie on one partition."""
    values = [each if isinstance(each, bytes) else codec.encode(each) for each in packs]
    return [Record(partition, first + place, T0 + 20_000 + place, value) for place, value in enumerate(values)]


def folded(packs: Iterable[Pack]) -> dict[Reading, Any]:
    """By a plain reading of the law: the identity of a reading, and the first in the log counts."""
    found: dict[Reading, Any] = {}
    for each in packs:
        if each.tenant == PULSE_TENANT:
            continue
        for kind, columns in (("number", each.metrics), ("text", each.texts), ("flag", each.flags)):
            for metric, values in columns.items():
                for at, value in zip(each.at, values, strict=True):
                    found.setdefault((each.tenant, each.device, metric, kind, each.pane + at), value)
    return found


def produce(bootstrap: str, packs: Iterable[Pack | bytes]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for each in packs:
        key = b"" if isinstance(each, bytes) else device_key(each.tenant, each.device)
        value = each if isinstance(each, bytes) else codec.encode(each)
        producer.produce(RAW.name, key=key, value=value)
        producer.poll(0)
    assert producer.flush(60) == 0


@contextmanager
def opened(store: RawStore, log: str = "log-1") -> Iterator[ClickHouseSink]:
    """A sink that is ready to write."""
    sink = store.sink()
    sink.log_id = log
    sink.positions()
    try:
        yield sink
    finally:
        sink.disconnect()
