"""The sink of the raw store as a process: killed, its server killed, its topic made anew; no reading is lost."""

import base64
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from headwater.model import codec
from headwater.model.pack import PANE_MS
from headwater.model.topics import DEAD_LETTER, RAW
from headwater.raw.client import connect_to, positions
from headwater.stack import clickhouse, foreground, jars, kafka
from headwater.stack.program import Program
from headwater.stack.state import State
from tests.integration.raw_sinks import RawStore, folded, fresh_store, pack, produce
from tests.integration.sink_processes import PATIENCE_S, dead_letters, until
from tests.integration.sinks import T0, create_topics


@pytest.fixture
def bootstrap(kafka: str) -> str:
    create_topics(kafka, [RAW.name, DEAD_LETTER.name])
    return kafka


class Process:
    """The sink in a process of its own."""

    def __init__(self, store: RawStore, bootstrap: str, folder: Path, **more: str) -> None:
        settings = {"HEADWATER_KAFKA": bootstrap, "HEADWATER_CLICKHOUSE": store.url, "HEADWATER_KEEP_RAW_DAYS": "3000"}
        self.log = folder / f"{uuid.uuid4().hex}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "connectors.sinks.clickhouse"],
                env={**os.environ, **settings, **more},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def end(self, number: int) -> str:
        self.process.send_signal(number)
        self.process.wait(PATIENCE_S)
        return self.log.read_text()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def one(*given, **more) -> Process:
        started.append(Process(*given, tmp_path, **more))
        return started[-1]

    yield one
    for each in started:
        if each.process.poll() is None:
            each.end(signal.SIGKILL)


def packs(tenant: str, panes: int = 60, devices: int = 20) -> list:
    """Packs of some devices; every third comes once more, with other values."""
    made = []
    for pane in range(panes):
        for device in range(devices):
            at = [10, 20, 30 + device]
            made.append(pack(tenant, f"d{device}", T0 + pane * PANE_MS, at, metrics={"t": [1.0, 2.0, pane + 0.5]}))
            if device % 3 == 0:
                made.append(pack(tenant, f"d{device}", T0 + pane * PANE_MS, at, metrics={"t": [-1.0, -2.0, -3.0]}))
    return made


def ready(store: RawStore, bootstrap: str) -> bool:
    """True when the positions are the ends of the topic."""
    found = positions(connect_to(store.url))
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test-ends"})
    try:
        ends = {at: consumer.get_watermark_offsets(TopicPartition(RAW.name, at), timeout=30)[1] for at in range(4)}
    finally:
        consumer.close()
    return all(at in found and found[at].next_offset == end for at, end in ends.items() if end)


def test_killed_in_mid_stream_it_goes_on_where_the_store_stands(clickhouse, start, bootstrap: str, tenant: str):
    store = fresh_store(clickhouse)
    log = packs(tenant)
    cut = len(log) // 4
    for number in range(3):
        before = len(store.readings(tenant))
        sink = start(store, bootstrap)
        produce(bootstrap, log[number * cut : (number + 1) * cut])
        until(lambda before=before: len(store.readings(tenant)) > before, "some of the new readings")
        sink.end(signal.SIGKILL)
    produce(bootstrap, log[3 * cut :])
    sink = start(store, bootstrap)
    until(lambda: store.readings(tenant) == folded(log), "every reading, the first in the log")
    until(lambda: ready(store, bootstrap), "positions at the end")
    assert "sink.closed" in sink.end(signal.SIGTERM)
    assert sink.process.returncode == 0


def test_the_server_killed_under_load_loses_nothing(tmp_path: Path, start, bootstrap: str, tenant: str):
    own = State.open(tmp_path, {"HEADWATER_PORTS": "free"})
    program = clickhouse.program(own)
    server = started(program, own)
    clickhouse.migrate(own.url("clickhouse"))
    store = RawStore(own.url("clickhouse"))
    sink = start(store, bootstrap)
    log = packs(tenant)
    cut = len(log) // 5
    for number in range(4):
        produce(bootstrap, log[number * cut : (number + 1) * cut])
        if number == 0:
            until(lambda: bool(store.readings(tenant)), "the first readings")
        server.send_signal(signal.SIGKILL)
        server.wait()
        produce(bootstrap, log[number * cut : (number + 1) * cut])
        server = started(program, own)
    produce(bootstrap, log[4 * cut :])
    until(lambda: store.readings(tenant) == folded(log), "every reading")
    assert sink.process.poll() is None, "an outage must not end the process"
    assert '"sink.outage"' in sink.end(signal.SIGTERM)
    foreground.stop(program, server)


def started(program: Program, own: State) -> subprocess.Popen:
    process = foreground.start(program, own.folder / "logs")
    foreground.wait_ready(program, process, own.folder / "logs")
    return process


def test_broken_records_and_late_ones_stop_nothing(clickhouse, start, bootstrap: str, tenant: str):
    store = fresh_store(clickhouse)
    old = pack(tenant, "late", T0 - 2_000 * 86_400_000)
    good = [pack(tenant, f"d{number}") for number in range(5)]
    sink = start(store, bootstrap, HEADWATER_KEEP_RAW_DAYS="1500")
    produce(bootstrap, [b"no json", good[0], b"[]", *good[1:], old])
    until(lambda: store.readings(tenant) == folded(good), "the good ones")
    until(lambda: ready(store, bootstrap), "positions at the end")
    output = sink.end(signal.SIGTERM)
    assert "sink.passed-over" in output
    letters = [each for each in dead_letters(bootstrap) if each.door == "sink-clickhouse" and each.tenant == tenant]
    assert [(each.reason, each.device, base64.b64decode(each.payload)) for each in letters] == [
        ("past-retention", "late", codec.encode(old))
    ]
    assert letters[0].topic == RAW.name


def test_a_topic_made_anew_is_read_from_its_beginning_and_replaces_nothing(
    tmp_path: Path, clickhouse, start, tenant: str
):
    own = State.open(tmp_path / "own", {"HEADWATER_PORTS": "free"})
    jars.ensure(own.folder, "kafka")
    kafka.prepare(own)
    store = fresh_store(clickhouse)
    first, again = packs(tenant, panes=2), [pack(tenant, "d1", T0, [10], metrics={"t": [77.0]}), pack(tenant, "new")]
    with foreground.running(kafka.program(own), own.folder / "logs"):
        bootstrap = own.url("kafka")
        create_topics(bootstrap, [RAW.name, DEAD_LETTER.name])
        sink = start(store, bootstrap)
        produce(bootstrap, first)
        until(lambda: store.readings(tenant) == folded(first), "the readings of the first topic")
        sink.end(signal.SIGTERM)
        admin = AdminClient({"bootstrap.servers": bootstrap})
        admin.delete_topics([RAW.name])[RAW.name].result(60)
        until(lambda: RAW.name not in admin.list_topics(timeout=60).topics, "the topic to be gone")
        create_topics(bootstrap, [RAW.name])
        produce(bootstrap, again)
        sink = start(store, bootstrap)
        until(lambda: (tenant, "new", "t", "number", T0 + 5) in store.readings(tenant), "the new topic")
        assert store.readings(tenant) == folded([*first, *again])
        assert '"sink.another-log"' in sink.end(signal.SIGTERM)
