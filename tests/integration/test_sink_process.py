"""The sinks as processes: killed, stopped, fed with rubbish, cut off; nothing is lost and nothing counts twice."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from headwater.model import codec
from headwater.model.pack import DeadLetter
from headwater.model.topics import DEAD_LETTER, PROCESSED
from tests.integration.sinks import T0, PostgresStore, Store, ValkeyStore, create_topics, fresh_database, panes, row

PATIENCE_S = 90


@pytest.fixture(scope="module")
def bootstrap(kafka: str) -> str:
    create_topics(kafka, [PROCESSED.name, DEAD_LETTER.name])
    return kafka


@pytest.fixture(params=["postgres", "valkey"])
def store(request: pytest.FixtureRequest, bootstrap: str) -> Store:
    if request.param == "postgres":
        return PostgresStore(fresh_database(request.getfixturevalue("postgres")))
    return ValkeyStore(request.getfixturevalue("valkey"))


@pytest.fixture
def tenant() -> str:
    return f"t{uuid.uuid4().hex[:8]}"


class Process:
    """A sink in a process of its own."""

    def __init__(self, store: Store, bootstrap: str) -> None:
        kind = "postgres" if isinstance(store, PostgresStore) else "valkey"
        settings = {
            "HEADWATER_KAFKA": bootstrap,
            f"HEADWATER_{kind.upper()}": store.url,
            "HEADWATER_SINK_COALESCE_MS": "50",
            "HEADWATER_SINK_ROLLUP_MS": "200",
            "HEADWATER_KEEP_10S_DAYS": "3000",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"connectors.sinks.{kind}"],
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def end(self, number: int) -> str:
        self.process.send_signal(number)
        return self.process.communicate(timeout=30)[0]


@pytest.fixture
def start(store: Store, bootstrap: str) -> Iterator[Callable[[], Process]]:
    started: list[Process] = []

    def one() -> Process:
        started.append(Process(store, bootstrap))
        return started[-1]

    yield one
    for each in started:
        if each.process.poll() is None:
            each.end(signal.SIGKILL)


def produce(bootstrap: str, rows: list, extra: tuple[bytes, ...] = ()) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for value in extra:
        producer.produce(PROCESSED.name, value=value, partition=0)
    for each in rows:
        producer.produce(PROCESSED.name, key=json.dumps(each.key), value=codec.encode(each))
        producer.poll(0)
    assert producer.flush(30) == 0


def until(what: Callable[[], bool], why: str) -> None:
    limit = time.monotonic() + PATIENCE_S
    while time.monotonic() < limit:
        if what():
            return
        time.sleep(0.1)
    pytest.fail(f"waited {PATIENCE_S} s for: {why}")


def partials(tenant: str, devices: int = 40, versions: int = 30) -> list:
    """Each pane of each device grows from 1 to `versions` readings, as the job publishes it."""
    return [
        row(tenant, f"d{device}", pane=pane, count=count, last=float(count))
        for pane in panes(3)
        for count in range(1, versions + 1)
        for device in range(devices)
    ]


def complete(store: Store, tenant: str, devices: int = 40, versions: int = 30) -> bool:
    kept = panes(3) if isinstance(store, PostgresStore) else panes(3)[-1:]
    whole = {(f"d{device}", "t", pane): (1, versions, float(versions)) for pane in kept for device in range(devices)}
    return store.rows(tenant) == whole


def test_killed_in_mid_stream_it_goes_on_where_the_store_stands(store: Store, start, bootstrap: str, tenant: str):
    rows = partials(tenant)
    cut = len(rows) // 4
    for number in range(3):
        before = store.rows(tenant)
        sink = start()
        produce(bootstrap, rows[number * cut : (number + 1) * cut])
        until(lambda before=before: store.rows(tenant) != before, "some of the new rows")
        sink.end(signal.SIGKILL)
    produce(bootstrap, rows[3 * cut :])
    start()
    until(lambda: complete(store, tenant), "every row in its last version")


def test_told_to_stop_it_flushes_and_ends_with_nought(store: Store, start, bootstrap: str, tenant: str):
    sink = start()
    produce(bootstrap, [row(tenant, "d")])
    until(lambda: bool(store.rows(tenant)), "the row")
    output = sink.end(signal.SIGTERM)
    assert sink.process.returncode == 0
    assert "sink.closed" in output


def test_connections_cut_while_rows_flow_cost_no_row(store: Store, start, bootstrap: str, tenant: str):
    rows = partials(tenant)
    cut = len(rows) // 6
    start()
    for number in range(6):
        produce(bootstrap, rows[number * cut : (number + 1) * cut])
        store.kill_connections()
    until(lambda: complete(store, tenant), "every row in its last version")


def test_two_sinks_at_once_end_in_the_same_rows(store: Store, start, bootstrap: str, tenant: str):
    start(), start()
    produce(bootstrap, partials(tenant))
    until(lambda: complete(store, tenant), "every row in its last version")


def test_what_cannot_be_read_becomes_a_dead_letter_and_stops_nothing(store: Store, start, bootstrap, tenant: str):
    good = row(tenant, "d")
    rubbish = (
        f"no json {tenant}".encode(),
        f'{{"v":1,"tenant":"{tenant}"}}'.encode(),
        codec.encode(row(tenant, "off", pane=T0 + 1)),
        codec.encode(row(tenant, "nul\x00")),
        codec.encode(row(tenant, "huge", dup=2**64)),
        codec.encode(row(tenant, "new")).replace(b'{"v":1', b'{"v":9'),
    )
    start()
    produce(bootstrap, [good], extra=rubbish)
    until(lambda: bool(store.rows(tenant)), "the good row")
    assert set(store.rows(tenant)) == {("d", "t", T0)}
    door = store.sink().name
    letters = [each for each in dead_letters(bootstrap) if each.door == door]
    payloads = {base64.b64decode(each.payload) for each in letters}
    assert set(rubbish) <= payloads
    assert {each.reason for each in letters} == {"bad-record"}


def dead_letters(bootstrap: str) -> list:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test-dead-letters", "enable.auto.commit": False})
    found = []
    try:
        for partition in consumer.list_topics(DEAD_LETTER.name, timeout=10).topics[DEAD_LETTER.name].partitions:
            first, end = consumer.get_watermark_offsets(TopicPartition(DEAD_LETTER.name, partition), timeout=10)
            if first == end:
                continue
            consumer.assign([TopicPartition(DEAD_LETTER.name, partition, first)])
            while (message := consumer.poll(10)) is not None:
                found.append(codec.decode(DeadLetter, message.value()))
                if message.offset() >= end - 1:
                    break
    finally:
        consumer.close()
    return found
