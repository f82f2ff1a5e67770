"""Whole servers killed under a running sink: it waits, goes on where the store stands, and says what it missed."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from headwater.model.topics import DEAD_LETTER, PROCESSED
from headwater.stack import foreground, jars, kafka, postgres, valkey
from headwater.stack.program import Program
from headwater.stack.state import State
from tests.integration.sink_processes import Process, complete, partials, produce, until
from tests.integration.sinks import T0, create_topics, fresh_database, row
from tests.integration.stores.postgres import PostgresStore
from tests.integration.stores.valkey import ValkeyStore


class Server:
    """A server of our own that may be killed."""

    def __init__(self, program: Program, logs: Path) -> None:
        self.program, self.logs = program, logs
        self.start()

    def start(self) -> None:
        self.process: subprocess.Popen[bytes] = foreground.start(self.program, self.logs)
        foreground.wait_ready(self.program, self.process, self.logs)

    def kill(self) -> None:
        # PostgreSQL does not start again while a backend of the killed one still lives.
        self.process.send_signal(signal.SIGSTOP)  # so that it makes no more of them
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert not psutil.wait_procs(children, 60)[1]

    def stop(self) -> None:
        foreground.stop(self.program, self.process)


@pytest.fixture
def own(tmp_path: Path) -> State:
    return State.open(tmp_path, {"HEADWATER_PORTS": "free"})


@pytest.fixture
def server(own: State) -> Iterator[Callable[[Program], Server]]:
    started: list[Server] = []

    def one(program: Program) -> Server:
        started.append(Server(program, own.folder / "logs"))
        return started[-1]

    yield one
    for each in started:
        each.stop()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def one(*given) -> Process:
        started.append(Process(*given, tmp_path))
        return started[-1]

    yield one
    for each in started:
        if each.process.poll() is None:
            each.end(signal.SIGKILL)


@pytest.fixture
def bootstrap(kafka: str) -> str:
    create_topics(kafka, [PROCESSED.name, DEAD_LETTER.name])
    return kafka


def test_postgresql_killed_and_started_again_has_every_row(own: State, server, start, bootstrap: str, tenant: str):
    postgres.prepare(own)
    database = server(postgres.program(own))
    store = PostgresStore(fresh_database(postgres.create_database(own)))
    sink = start(store, bootstrap)
    rows = partials(tenant)
    cut = len(rows) // 4
    for number in range(3):
        produce(bootstrap, rows[number * cut : (number + 1) * cut])
        if number == 0:
            until(lambda: bool(store.rows(tenant)), "the first rows")
        database.kill()
        produce(bootstrap, rows[number * cut : (number + 1) * cut])
        database.start()
    produce(bootstrap, rows[3 * cut :])
    until(lambda: complete(store, tenant), "every row in its last version")
    assert sink.process.poll() is None, "an outage must not end the process"
    assert '"sink.outage"' in sink.end(signal.SIGTERM)


def test_valkey_that_comes_back_empty_is_filled_again(own: State, server, start, bootstrap: str, tenant: str):
    valkey.prepare(own)
    program = valkey.program(own)
    cache = server(program)
    store = ValkeyStore(own.url("valkey"))
    sink = start(store, bootstrap)
    produce(bootstrap, partials(tenant))
    until(lambda: complete(store, tenant), "the latest rows")
    until(lambda: bool(store.client.exists("sink-valkey:filled")), "the mark that it is filled")
    cache.kill()
    for path in (own.folder / "valkey").rglob("*.aof"):
        path.unlink()
    for path in (own.folder / "valkey").rglob("*.manifest"):
        path.unlink()
    sink.process.send_signal(signal.SIGSTOP)  # or it might have filled it again before we look
    cache.start()
    assert store.rows(tenant) == {}
    sink.process.send_signal(signal.SIGCONT)
    produce(bootstrap, [row(f"{tenant}-other", "d")])
    until(lambda: complete(store, tenant), "the latest rows again, although no device has sent a new one")
    assert '"sink.empty-store"' in sink.end(signal.SIGTERM)


def test_kafka_killed_and_started_again_loses_nothing(own: State, server, start, tenant: str, request):
    jars.ensure(own.folder, "kafka")
    kafka.prepare(own)
    broker = server(kafka.program(own))
    bootstrap = own.url("kafka")
    create_topics(bootstrap, [PROCESSED.name, DEAD_LETTER.name])
    store = PostgresStore(fresh_database(request.getfixturevalue("postgres")))
    sink = start(store, bootstrap)
    rows = partials(tenant)
    produce(bootstrap, rows[: len(rows) // 2])
    until(lambda: bool(store.rows(tenant)), "the first rows")
    broker.kill()
    broker.start()
    produce(bootstrap, rows[len(rows) // 2 :])
    until(lambda: complete(store, tenant), "every row in its last version")
    assert sink.process.poll() is None
    sink.end(signal.SIGTERM)
    assert sink.process.returncode == 0


def test_a_topic_made_anew_is_read_from_its_beginning(own: State, server, start, tenant: str, request):
    jars.ensure(own.folder, "kafka")
    kafka.prepare(own)
    server(kafka.program(own))
    bootstrap = own.url("kafka")
    create_topics(bootstrap, [PROCESSED.name, DEAD_LETTER.name])
    store = PostgresStore(fresh_database(request.getfixturevalue("postgres")))
    sink = start(store, bootstrap)
    produce(bootstrap, partials(tenant, versions=5))
    until(lambda: complete(store, tenant, versions=5), "the rows of the first topic")
    sink.end(signal.SIGTERM)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.delete_topics([PROCESSED.name])[PROCESSED.name].result(60)
    until(lambda: PROCESSED.name not in topics(bootstrap), "the topic to be gone")
    create_topics(bootstrap, [PROCESSED.name])
    produce(bootstrap, partials(tenant, versions=30))
    sink = start(store, bootstrap)
    until(lambda: complete(store, tenant), "every row of the second topic, also those at offsets read before")
    assert '"sink.another-log"' in sink.end(signal.SIGTERM)


def topics(bootstrap: str) -> set[str]:
    return set(AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=60).topics)


def test_a_position_that_the_log_does_not_have_is_replaced_with_a_warning(start, bootstrap: str, tenant: str, request):
    store = PostgresStore(fresh_database(request.getfixturevalue("postgres")))
    store.execute("insert into sink_offset values ('sink-postgres', 'processed-data', 0, 1000000000, '')")
    produce(bootstrap, [row(tenant, f"d{number}") for number in range(40)])
    sink = start(store, bootstrap)
    until(lambda: len(store.rows(tenant)) == 40, "the rows of all partitions")
    assert '"sink.position-out-of-range"' in sink.end(signal.SIGTERM)


def test_rows_that_the_log_has_dropped_are_skipped_with_a_warning(own: State, server, start, tenant: str, request):
    jars.ensure(own.folder, "kafka")
    kafka.prepare(own)
    server(kafka.program(own))
    bootstrap = own.url("kafka")
    create_topics(bootstrap, [PROCESSED.name, DEAD_LETTER.name], partitions=1)
    store = PostgresStore(fresh_database(request.getfixturevalue("postgres")))
    store.execute("insert into sink_offset values ('sink-postgres', 'processed-data', 0, 2, '')")
    produce(bootstrap, [row(tenant, f"d{number}") for number in range(10)])
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.delete_records([TopicPartition(PROCESSED.name, 0, 6)]).values():
        future.result(60)
    sink = start(store, bootstrap)
    until(lambda: len(store.rows(tenant)) == 4, "the rows that are left")
    assert set(store.rows(tenant)) == {(f"d{number}", "t", T0) for number in range(6, 10)}
    assert "expected an offset from 6 to 10, got 2" in sink.end(signal.SIGTERM)
