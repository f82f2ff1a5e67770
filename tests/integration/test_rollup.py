"""Rollups equal the sums of their 10 s rows after any history, whoever dies in between."""

import random
import threading
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from connectors.sinks.partitions import Partitions
from connectors.sinks.postgres import PostgresSink
from connectors.sinks.rollup import ROLLED, roll_up, roll_up_all
from headwater.model.settings import SinkSettings
from headwater.model.stores import LEVEL
from tests.integration.sinks import T0, fresh_database, opened, row
from tests.integration.stores.postgres import PostgresStore

DAY_MS = 86_400_000


@pytest.fixture
def store(postgres: str) -> PostgresStore:
    return PostgresStore(fresh_database(postgres))


@pytest.fixture
def connection(store: PostgresStore):
    with psycopg.connect(
        store.url, autocommit=True, cursor_factory=psycopg.RawCursor, options="-c timezone=UTC"
    ) as connection:
        yield connection


def expected(store: PostgresStore, width_ms: int) -> dict:
    """What a level must say, by a plain loop over the 10 s rows."""
    buckets = defaultdict(list)
    for found in store.query(
        "select tenant, device, metric, (extract(epoch from bucket) * 1000)::bigint, count, sum, sum_sq, min, max,"
        " first_ms, last_ms, last, as_of, received from series_10s"
    ):
        buckets[(*found[:3], found[3] - found[3] % width_ms)].append(found[4:])
    whole = {}
    for key, parts in buckets.items():
        count, total, squares, least, most, first, last_ms, _, as_of, received = zip(*parts, strict=True)
        last = max(parts, key=lambda part: part[6])[7]
        mean = sum(total) / sum(count)
        std = max(0.0, sum(squares) / sum(count) - mean**2) ** 0.5
        whole[key] = (
            *(sum(count), min(least), max(most), min(first), max(last_ms), last, max(as_of), max(received)),
            *(pytest.approx(each, rel=1e-9, abs=1e-9) for each in (sum(total), sum(squares), mean)),
            pytest.approx(std, rel=1e-6, abs=1e-6),
        )
    return whole


def stored(store: PostgresStore, level: str) -> dict:
    found = store.query(
        "select tenant, device, metric, (extract(epoch from bucket) * 1000)::bigint, count, min, max, first_ms,"
        f" last_ms, last, as_of, received, sum, sum_sq, mean, std from {LEVEL[level].view}"
    )
    return {tuple(each[:4]): tuple(each[4:]) for each in found}


def assert_levels_are_true(store: PostgresStore) -> None:
    for level in ROLLED:
        assert stored(store, level) == expected(store, LEVEL[level].width_ms), level
    assert store.query("select count(*) from rollup_dirty") == [(0,)]


def some_rows(dice: random.Random, size: int) -> list:
    """Rows over three days, some of them twice, late and in newer versions or generations."""
    return [
        row(
            "demo",
            f"d{dice.randrange(3)}",
            dice.choice(["a", "b"]),
            T0
            + dice.choice([0, 1, 59, 60, 3_599, 86_399, 100_000, 200_000]) * 1000 // 10_000 * 10_000
            + dice.randrange(12) * 10_000,
            count=dice.randint(1, 9),
            generation=dice.choice([1, 1, 2]),
            last=dice.uniform(-50, 50),
        )
        for _ in range(size)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_after_any_history_each_level_equals_its_10_s_rows(store: PostgresStore, connection, seed: int):
    dice = random.Random(seed)
    with opened(store) as sink:
        for number in range(12):
            sink.write(some_rows(dice, 40), {0: number})
            sink.flush()
            if dice.random() < 0.5:
                roll_up(connection, dice.choice(ROLLED))
    roll_up_all(connection)
    assert_levels_are_true(store)


def test_rollups_beside_writes_lose_no_mark(store: PostgresStore):
    """Two who roll up without pause while one writes: afterwards every level is true."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def roll() -> None:
        try:
            with psycopg.connect(
                store.url, autocommit=True, cursor_factory=psycopg.RawCursor, options="-c timezone=UTC"
            ) as connection:
                while not stop.is_set():
                    roll_up_all(connection)
                roll_up_all(connection)
        except BaseException as failure:
            failures.append(failure)

    rollers = [threading.Thread(target=roll) for _ in range(2)]
    for each in rollers:
        each.start()
    dice = random.Random(11)
    with opened(store) as sink:
        for number in range(150):
            sink.write(some_rows(dice, 20), {0: number})
            sink.flush()
    stop.set()
    for each in rollers:
        each.join()
    assert not failures
    assert_levels_are_true(store)


def roller(store: PostgresStore) -> threading.Thread:
    """Rolls up the minutes in a thread of its own."""

    def roll() -> None:
        with psycopg.connect(
            store.url,
            autocommit=True,
            cursor_factory=psycopg.RawCursor,
            options="-c timezone=UTC",
            application_name="roller",
        ) as connection:
            roll_up(connection, "1m")

    return threading.Thread(target=roll)


def wait_until_rollers_wait(store: PostgresStore, count: int) -> None:
    waiting = "select count(*) from pg_stat_activity where application_name = 'roller' and wait_event_type = 'Lock'"
    limit = time.monotonic() + 60
    while store.query(waiting) != [(count,)]:
        assert time.monotonic() < limit, f"expected {count} who wait for a lock"
        time.sleep(0.05)


def test_a_slow_rollup_never_overwrites_what_a_later_one_knew(store: PostgresStore, connection):
    """The slow one has read its 10 s rows and waits for a row that is locked, while a newer version comes in."""
    devices = ("a", "b")
    with opened(store) as sink:
        sink.write([row("demo", device) for device in devices], {0: 2})
        sink.flush()
        roll_up_all(connection)
        sink.write([row("demo", device, count=2) for device in devices], {0: 4})
        sink.flush()
        slow, quick = roller(store), roller(store)
        with connection.transaction():
            connection.execute("select 1 from rollup_1m where device = 'a' for update")
            slow.start()
            wait_until_rollers_wait(store, 1)
            sink.write([row("demo", "b", count=3)], {0: 5})
            sink.flush()
            quick.start()
            wait_until_rollers_wait(store, 2)
    slow.join()
    quick.join()
    roll_up_all(connection)
    assert_levels_are_true(store)


def test_a_rollup_that_dies_in_mid_transaction_leaves_its_marks(store: PostgresStore, connection):
    with opened(store) as sink:
        sink.write(some_rows(random.Random(5), 60), {0: 1})
        sink.flush()
    marks = store.query("select count(*) from rollup_dirty")
    dying = psycopg.connect(
        store.url,
        autocommit=True,
        cursor_factory=psycopg.RawCursor,
        options="-c timezone=UTC",
        application_name="dying",
    )

    def roll_up_and_die() -> None:
        with dying.transaction():
            roll_up(dying, "1m")
            store.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'dying'")
            dying.execute("select 1")

    with pytest.raises(psycopg.Error):
        roll_up_and_die()
    assert store.query("select count(*) from rollup_dirty") == marks
    assert store.query("select count(*) from rollup_1m") == [(0,)]
    roll_up_all(connection)
    assert_levels_are_true(store)


def test_a_replay_that_changes_nothing_marks_nothing(store: PostgresStore, connection):
    rows = some_rows(random.Random(6), 60)
    with opened(store) as sink:
        sink.write(rows, {0: 60})
        sink.flush()
        roll_up_all(connection)
        sink.write(rows, {0: 60})
        sink.flush()
    assert store.query("select count(*) from rollup_dirty") == [(0,)]


def test_a_bucket_whose_rows_retention_has_begun_to_remove_keeps_what_it_has(store: PostgresStore, connection):
    """Its minute stays whole though the 10 s rows are gone; a row that comes for it is refused, not half counted."""
    pane = T0 // 60_000 * 60_000
    refused: list = []
    with opened(store) as sink:
        sink.refuse = lambda rows, _why: refused.extend(rows)
        sink.write([row("demo", "d", pane=pane), row("demo", "d", pane=pane + 10_000, count=2)], {0: 1})
        sink.flush()
        roll_up_all(connection)
        minute = stored(store, "1m")
        connection.execute("insert into rollup_dirty select '1m', 'demo', 'd', 't', to_timestamp($1)", [pane // 1000])
        day_after = datetime.fromtimestamp(pane / 1000, UTC) + timedelta(days=1)
        connection.execute("select drop_partitions('10s', $1)", [day_after])
        assert store.query("select count(*) from aggregate_10s") == [(0,)]
        roll_up_all(connection)
        assert stored(store, "1m") == minute
        sink.reset()
        sink.positions()
        late = row("demo", "d", pane=pane + 20_000)
        sink.write([late, row("demo", "d", pane=pane + DAY_MS)], {0: 2})
        sink.flush()
        roll_up_all(connection)
    assert refused == [late]
    assert {key: value for key, value in stored(store, "1m").items() if key[3] == pane} == minute
    assert store.query('select "offset" from sink_offset') == [(2,)]


def test_partitions_are_made_ahead_and_dropped_when_retention_is_past(store: PostgresStore, connection):
    settings = SinkSettings(postgres=store.url, keep_10s_days=3, keep_1m_days=31, keep_1h_days=800)
    partitions = Partitions(settings)
    partitions.load(connection)
    now = datetime(2026, 11, 24, 15, tzinfo=UTC)
    days = [now - timedelta(days=back) for back in (0, 2, 3, 4, 31)]
    partitions.ensure(connection, [int(day.timestamp() * 1000) for day in days])
    assert set(partitions.keep(connection, now)) == {"aggregate_10s_20261120", "aggregate_10s_20261024"}
    left = {name for (name,) in store.query("select relid::text from pg_partition_tree('aggregate_10s') where isleaf")}
    assert left == {f"aggregate_10s_{day}" for day in (20261121, 20261122, 20261124, 20261125, 20261126)}
    minutes = {name for (name,) in store.query("select relid::text from pg_partition_tree('rollup_1m') where isleaf")}
    assert minutes == {
        f"rollup_1m_{day}" for day in (20261024, 20261120, 20261121, 20261122, 20261124, 20261125, 20261126)
    }
    hours = {name for (name,) in store.query("select relid::text from pg_partition_tree('rollup_1h') where isleaf")}
    assert hours == {"rollup_1h_202610", "rollup_1h_202611"}
    assert partitions.keep(connection, now) == []


def test_a_reading_of_31_days_ago_finds_its_partition(store: PostgresStore):
    pane = int((datetime.now(UTC) - timedelta(days=31)).timestamp()) // 10 * 10_000
    sink = PostgresSink(SinkSettings(postgres=store.url, keep_10s_days=32, keep_1m_days=32))
    sink.positions()
    sink.upkeep()
    sink.write([row("demo", "d", pane=pane)], {0: 1})
    sink.close()
    assert set(store.rows("demo")) == {("d", "t", pane)}
    assert_levels_are_true(store)


def test_a_day_begins_at_midnight_utc_whatever_the_server_thinks(store: PostgresStore):
    name = store.query("select current_database()")[0][0]
    with psycopg.connect(store.url, autocommit=True) as admin:
        admin.execute(f"alter database {name} set timezone = 'Pacific/Auckland'")
    # Clocks went forward there on this day: a day by the server's clock would have 23 hours.
    midnight = int(datetime(2026, 9, 27, tzinfo=UTC).timestamp() * 1000)
    with opened(store) as sink:
        sink.write([row("demo", "d", pane=midnight - 10_000), row("demo", "d", pane=midnight)], {0: 1})
        sink.close()
    assert {key[3] for key in stored(store, "1d")} == {midnight - DAY_MS, midnight}
    assert_levels_are_true(store)
