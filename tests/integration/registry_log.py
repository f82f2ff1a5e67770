"""What the tests of the registry share: a database of their own, the worker as a process, and what is on the log."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from confluent_kafka import Consumer, TopicPartition

from headwater.model import codec
from headwater.model.device import DeviceRecord
from headwater.model.settings import Settings
from headwater.model.topics import DEVICE_REGISTRY
from headwater.stack.migrate import apply
from headwater.stack.topics import create_all
from tests.integration.mqtt_line import eventually


def own_database(server: str) -> str:
    """URL of a migrated database of its own."""
    name = f"registry_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    url = urlsplit(server)._replace(path=f"/{name}").geturl()
    apply(url)
    return url


def start_worker(folder: Path, kafka: str, postgres: str, **more: object) -> subprocess.Popen[bytes]:
    create_all(Settings(_env_file=None, kafka=kafka))
    environment = {
        **os.environ,
        "HEADWATER_STATE": str(folder),
        "HEADWATER_KAFKA": kafka,
        "HEADWATER_POSTGRES": postgres,
        **{f"HEADWATER_{name.upper()}": str(value) for name, value in more.items()},
    }
    with (folder / "registry.log").open("ab") as log:
        command = [sys.executable, "-m", "headwater.workers.registry"]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


@contextmanager
def worker(folder: Path, kafka: str, postgres: str, **more: object) -> Iterator[subprocess.Popen[bytes]]:
    """The worker; stopped by SIGTERM at the end, where it must end by itself, with 0."""
    process = start_worker(folder, kafka, postgres, **more)
    try:
        yield process
        process.terminate()
        assert process.wait(120) == 0, (folder / "registry.log").read_text()[-3_000:]
    finally:
        process.kill()
        process.wait()


@contextmanager
def reading(kafka: str, tenant: str) -> Iterator[Callable[[], list[DeviceRecord]]]:
    """A function that gives all records of the tenant on the topic so far, in the order of each partition."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "test", "enable.auto.commit": False})
    found: list[DeviceRecord] = []

    def records() -> list[DeviceRecord]:
        for message in consumer.consume(5_000, 0.3):
            assert message.error() is None
            if message.key() and message.key().startswith(f"{tenant}/".encode()):
                record = codec.decode(DeviceRecord, message.value())
                assert message.key() == codec.device_key(record.tenant, record.device)
                found.append(record)
        return found

    try:
        partitions = consumer.list_topics(DEVICE_REGISTRY.name, timeout=60).topics[DEVICE_REGISTRY.name].partitions
        consumer.assign([TopicPartition(DEVICE_REGISTRY.name, number, 0) for number in partitions])
        yield records
    finally:
        consumer.close()


def until(records: Callable[[], list[DeviceRecord]], enough: Callable[[list[DeviceRecord]], bool], what: str) -> None:
    """Reads on until there is enough."""
    eventually(lambda: enough(records()), what)


def firsts(records: list[DeviceRecord]) -> dict[str, list[int]]:
    """Device -> its versions in the order in which each came first."""
    found: dict[str, dict[int, None]] = {}
    for record in records:
        found.setdefault(record.device, {})[record.version] = None
    return {device: list(versions) for device, versions in found.items()}
