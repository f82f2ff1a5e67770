"""Sinks as processes, the rows that they are fed, and what comes of them."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from headwater.model import codec
from headwater.model.pack import DeadLetter
from headwater.model.topics import DEAD_LETTER, PROCESSED
from tests.integration.sinks import panes, row
from tests.integration.stores import Store
from tests.integration.stores.postgres import PostgresStore

PATIENCE_S = 180


class Process:
    """A sink in a process of its own."""

    def __init__(self, store: Store, bootstrap: str, folder: Path) -> None:
        kind = "postgres" if isinstance(store, PostgresStore) else "valkey"
        settings = {
            "HEADWATER_KAFKA": bootstrap,
            f"HEADWATER_{kind.upper()}": store.url,
            "HEADWATER_SINK_COALESCE_MS": "50",
            "HEADWATER_SINK_ROLLUP_MS": "200",
            "HEADWATER_KEEP_10S_DAYS": "3000",
        }
        # A file and no pipe: one that nobody reads would stop the process when it is full.
        self.log = folder / f"{uuid.uuid4().hex}.log"
        command = [sys.executable, "-m", f"connectors.sinks.{kind}"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env={**os.environ, **settings}, stdout=log, stderr=subprocess.STDOUT
            )

    def end(self, number: int) -> str:
        self.process.send_signal(number)
        self.process.wait(PATIENCE_S)
        return self.log.read_text()


def produce(bootstrap: str, rows: list, extra: tuple[bytes, ...] = ()) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for value in extra:
        producer.produce(PROCESSED.name, value=value, partition=0)
    for each in rows:
        producer.produce(PROCESSED.name, key=json.dumps(each.key), value=codec.encode(each))
        producer.poll(0)
    assert producer.flush(120) == 0


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


def dead_letters(bootstrap: str) -> list:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test-dead-letters", "enable.auto.commit": False})
    found = []
    try:
        for partition in consumer.list_topics(DEAD_LETTER.name, timeout=60).topics[DEAD_LETTER.name].partitions:
            first, end = consumer.get_watermark_offsets(TopicPartition(DEAD_LETTER.name, partition), timeout=60)
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
