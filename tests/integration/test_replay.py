"""A range of the log through the same job again, on a real cluster: no row differs, and what was changed is found."""

import time
import uuid
from dataclasses import replace

import psycopg
import pytest
from confluent_kafka.admin import AdminClient

from connectors.sinks.postgres import PostgresSink
from headwater.cli.replay import Runner
from headwater.model.codec import device_key, encode
from headwater.model.errors import BadRequest, StackError
from headwater.model.pack import PULSE_TENANT
from headwater.model.settings import JobSettings
from headwater.model.topics import RAW
from headwater.stack import flink, foreground, jars
from headwater.stack.state import State
from headwater.truth import logfile
from headwater.truth.logs import START_MS, LogShape, random_log
from headwater.truth.reference import Reference
from headwater.truth.replay import OWN, Replay, Wanted
from headwater.truth.span import Entry, Reader
from tests.integration.sinks import fresh_database
from tests.integration.stores.postgres import PostgresStore

PARTITIONS = 2
SHAPE = LogShape(devices=4, seconds=60, partitions=PARTITIONS, horizon_ms=60_000, late=0.15)
END_MS = START_MS + 400_000


class Line:
    """A cluster, a log of its own on Kafka, and the live rows that came of it."""

    def __init__(self, state, kafka, database):
        self.state, self.kafka, self.database = state, kafka, database
        self.of = f"{uuid.uuid4().hex[:8]}-"
        self.settings = JobSettings(
            _env_file=state.folder / "run.env", kafka=kafka, horizon_ms=60_000, ahead_ms=20_000, parallelism=2
        )

    def append(self, log):
        logfile.make_topic(self.kafka, self.of + RAW.name, RAW, PARTITIONS)
        entries = [
            Entry(r.partition, 0, r.log_time, device_key(r.pack.tenant, r.pack.device), (), encode(r.pack)) for r in log
        ]
        logfile.append(self.kafka, self.of + RAW.name, entries)

    def store(self, log):
        reference = Reference(10**15)
        for record in log:
            if record.pack.tenant != PULSE_TENANT:
                reference.take(record)
        sink = PostgresSink(self.database.settings)
        sink.positions()
        for row in reference.rows().values():
            sink.pending.add(row)
        sink.pending.beats = {(RAW.name, partition): END_MS + 1_000 for partition in range(PARTITIONS)}
        sink.store(sink.pending)
        sink.disconnect()

    def replay(self, on="cluster", job=None, **given):
        into = given.pop("into", f"again{uuid.uuid4().hex[:6]}-")
        wanted = replace(Wanted(START_MS, END_MS, into, 60_000, 20_000, self.of, wait_s=1), **given)
        with Reader(self.kafka) as reader, psycopg.connect(self.database.url, autocommit=True) as connection:
            one = Replay(self.kafka, reader, connection, wanted)
            try:
                return one.run(job or Runner(self.state, self.settings, on).run)
            finally:
                one.close()
                self.assert_clean(into)

    def assert_clean(self, into):
        admin = AdminClient({"bootstrap.servers": self.kafka})
        # The broker hears of it a moment after the controller, which answers for both.
        until = time.monotonic() + 60
        while left := {into + topic.name for topic in OWN} & admin.list_topics(timeout=60).topics.keys():
            assert time.monotonic() < until, left
            time.sleep(0.1)
        assert self.database.query("select nspname from pg_namespace where nspname like 'replay%%'") == []


@pytest.fixture(scope="module")
def line(kafka, postgres, tmp_path_factory):
    given = {"HEADWATER_PORTS": "free", "HEADWATER_KAFKA": kafka}
    state = State.open(tmp_path_factory.mktemp("replay"), given)
    jars.ensure(state.folder, "flink")
    flink.prepare(state)
    made = Line(state, kafka, PostgresStore(fresh_database(postgres)))
    log = random_log(3, SHAPE)
    made.append(log)
    made.store(log)
    logs = state.folder / "logs"
    with foreground.running(flink.jobmanager(state), logs), foreground.running(flink.taskmanager(state), logs):
        yield made


@pytest.fixture(autouse=True)
def horizon(monkeypatch):
    monkeypatch.setenv("HEADWATER_HORIZON_MS", "60000")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("on", ["cluster", "local"])
def test_a_replay_gives_the_live_rows_and_leaves_nothing_behind(line, on):
    report = line.replay(on)
    assert report.differences == []
    assert report.same > 50
    assert report.corrections > 5
    assert report.rows > report.same / 2


@pytest.mark.timeout(600)
def test_rows_that_were_lost_changed_or_invented_are_listed(line):
    panes = line.database.query("select distinct pane from aggregate_10s order by pane")
    lost, changed = panes[1][0], panes[2][0]
    tables = "tenant, device, metric"
    [a] = line.database.query(
        f"delete from aggregate_10s where ({tables}, pane) = (select {tables}, pane from aggregate_10s"
        f" where pane = %s order by {tables} limit 1) returning *",
        lost,
    )
    [b] = line.database.query(
        f"update aggregate_10s set sum = sum * (1 + 1e-6) where ({tables}, pane) = (select {tables}, pane"
        f" from aggregate_10s where pane = %s order by {tables} limit 1) returning *",
        changed,
    )
    [c] = line.database.query(
        "insert into aggregate_10s select tenant, 'ghost', metric, pane, generation, count, sum, sum_sq, min, max,"
        " first_ms, last_ms, last, as_of, received, dup from aggregate_10s where pane = %s limit 1 returning *",
        changed,
    )
    report = line.replay()
    found = {(one.verdict, one.key[:3]) for one in report.differences}
    assert found == {("missing", a[:3]), ("different", b[:3]), ("extra", c[:3])}


def test_a_replay_that_is_broken_off_leaves_nothing_behind(line):
    def broken(_into, _span):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        line.replay(job=broken)


def test_what_a_killed_replay_has_left_is_cleared_by_the_next_of_its_name(line):
    wanted = Wanted(START_MS, END_MS, "killed-", 60_000, 20_000, line.of, wait_s=1)
    with Reader(line.kafka) as reader, psycopg.connect(line.database.url, autocommit=True) as connection:
        first = Replay(line.kafka, reader, connection, wanted)
        first._prepare()
    with Reader(line.kafka) as reader, psycopg.connect(line.database.url, autocommit=True) as connection:
        again = Replay(line.kafka, reader, connection, wanted)
        again._prepare()
        again.close()
    line.assert_clean("killed-")


def test_a_range_that_the_live_rows_have_not_reached_or_that_holds_no_whole_pane_is_refused(line):
    with pytest.raises(StackError, match="have come to log time"):
        line.replay(to_ms=END_MS + 10_000_000)
    with pytest.raises(BadRequest, match="no pane would be whole"):
        line.replay(from_ms=END_MS - 60_000)
    with pytest.raises(BadRequest, match="prefix"):
        line.replay(into="live")
