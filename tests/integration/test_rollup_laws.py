"""Rollups after random histories: corrections, repairs, rebuilds, empty rows and retention, against plain Python.

The model keeps what each level must hold. A bucket is recomputed from the level below it, and only while none of what
it consists of has been removed; each level has an edge of its own.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.sinks.rollup import ROLLED, roll_up, roll_up_all
from headwater.model.pack import Aggregate
from headwater.model.stores import LEVEL, LEVELS
from tests.integration.sinks import fresh_database, opened, row
from tests.integration.stores.postgres import PostgresStore

START_MS = int(datetime(2025, 12, 30, 23, 58, tzinfo=UTC).timestamp() * 1000)
DAY_MS = 86_400_000
# Two minutes before the end of a day, its end, the end of the month and year, and some hours and weeks later.
STARTS = (0, 60_000, 120_000, DAY_MS + 60_000, 2 * DAY_MS, 3 * DAY_MS + 3_600_000, 40 * DAY_MS)

rows_drawn = st.lists(
    st.builds(
        lambda start, step, device, generation, count, last: row(
            "t",
            device,
            pane=START_MS + start + step * 10_000,
            generation=generation,
            count=count,
            last=float(last) if count else 0.0,
            as_of=count,
        ),
        st.sampled_from(STARTS),
        st.integers(0, 11),
        st.sampled_from("ab"),
        st.sampled_from([1, 1, 1, 2, 1_000, 1_001]),
        st.integers(0, 4),
        st.integers(-9, 9),
    ),
    min_size=1,
    max_size=25,
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("rows"), rows_drawn),
        st.tuples(st.just("roll"), st.sampled_from([*ROLLED, "all"])),
        st.tuples(st.just("drop"), st.tuples(st.sampled_from(["10s", "1m", "1h"]), st.sampled_from(STARTS))),
    ),
    min_size=3,
    max_size=14,
)


class Model:
    """Four levels as dictionaries: (device, bucket) -> (count, sum, min, max, last)."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], Aggregate] = {}
        self.levels: dict[str, dict[tuple[str, int], tuple]] = {name: {} for name in ROLLED}
        self.marks: dict[str, set[tuple[str, int]]] = {name: set() for name in ROLLED}
        self.edges = dict.fromkeys(LEVEL, 0)

    def write(self, rows: list[Aggregate]) -> None:
        for one in rows:
            key = (one.device, one.pane)
            held = self.rows.get(key)
            version = (one.generation, one.count, one.as_of)
            if one.pane < self.edges["10s"] or (held and version < (held.generation, held.count, held.as_of)):
                continue
            if one != held:
                self.rows[key] = one
                self.marks["1m"].add((one.device, one.pane - one.pane % 60_000))

    def roll(self, name: str) -> None:
        place = [level.name for level in LEVELS].index(name)
        finer, own = LEVELS[place - 1], LEVELS[place]
        for device, bucket in self.marks[name]:
            if bucket < max(self.edges[finer.name], self.edges[name]):
                continue
            if place == 1:
                below = {
                    key: (one.count, one.sum, one.min, one.max, one.last) for key, one in self.rows.items() if one.count
                }
            else:
                below = self.levels[finer.name]
            parts = [
                below[key] for key in sorted(below) if key[0] == device and bucket <= key[1] < bucket + own.width_ms
            ]
            if parts:
                counts, sums, least, most, last = zip(*parts, strict=True)
                self.levels[name][device, bucket] = (sum(counts), sum(sums), min(least), max(most), last[-1])
            else:
                self.levels[name].pop((device, bucket), None)
            if place + 1 < len(LEVELS):
                width = LEVELS[place + 1].width_ms
                self.marks[LEVELS[place + 1].name].add((device, bucket - bucket % width))
        self.marks[name] = set()

    def drop(self, name: str, edge: int) -> None:
        if edge <= self.edges[name]:
            return
        self.edges[name] = edge
        held = self.rows if name == "10s" else self.levels[name]
        for key in [key for key in held if key[1] < edge]:
            del held[key]


def stored(store: PostgresStore, name: str) -> dict[tuple[str, int], tuple]:
    found = store.query(
        "select device, (extract(epoch from bucket) * 1000)::bigint, count, sum, min, max, last"
        f" from {LEVEL[name].table}"
    )
    return {(each[0], each[1]): each[2:] for each in found}


@pytest.fixture(scope="module")
def store(postgres: str) -> PostgresStore:
    return PostgresStore(fresh_database(postgres))


@pytest.fixture(scope="module")
def connection(store: PostgresStore) -> Iterator[psycopg.Connection]:
    with psycopg.connect(
        store.url, autocommit=True, cursor_factory=psycopg.RawCursor, options="-c timezone=UTC"
    ) as connection:
        yield connection


def cleared(connection: psycopg.Connection) -> None:
    for table in ("aggregate_10s", "rollup_1m", "rollup_1h", "rollup_1d", "rollup_dirty", "sink_offset"):
        connection.execute(f"truncate {table}")
    connection.execute("truncate held_10s, shown_generation")
    connection.execute("update level set edge = '1970-01-01 00:00:00+00'")


def ran(history: list, store: PostgresStore, connection: psycopg.Connection) -> Model:
    """The history, in the database and in the model; at its end all is rolled up."""
    cleared(connection)
    # Every generation is shown at once here: what a rebuild holds back has tests of its own.
    for partition in range(64):
        connection.execute("insert into shown_generation values ($1, 1000000)", [partition])
    model = Model()
    position = 0
    with opened(store) as sink:
        for what, given in [*history, ("roll", "all")]:
            if what == "rows":
                sink.reset()
                sink.positions()
                for one in given:  # one by one: a batch would keep the newest of a key, as the model does
                    position += 1
                    sink.write([one], {0: position})
                sink.flush()
                model.write(given)
            elif what == "drop":
                name, start = given
                at = datetime.fromtimestamp((START_MS + start) / 1000, UTC)
                connection.execute("select drop_partitions($1, $2)", [name, at]).fetchall()
                edge = connection.execute(
                    "select (extract(epoch from edge) * 1000)::bigint from level where level = $1", [name]
                ).fetchone()[0]
                model.drop(name, edge)
            else:
                for name in ROLLED if given == "all" else (given,):
                    roll_up(connection, name)
                    model.roll(name)
    return model


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(history=steps)
def test_after_any_history_each_level_is_what_plain_loops_say(store: PostgresStore, connection, history):
    model = ran(history, store, connection)
    for name in ROLLED:
        expected = {key: pytest.approx(value, rel=1e-9, abs=1e-9) for key, value in model.levels[name].items()}
        assert stored(store, name) == expected, name
    assert store.query("select count(*) from rollup_dirty") == [(0,)]


def test_a_row_that_a_repair_has_emptied_leaves_no_trace_above(store: PostgresStore, connection):
    pane = START_MS
    history = [
        ("rows", [row("t", "a", pane=pane, count=3, last=7.0), row("t", "b", pane=pane, count=1, last=5.0)]),
        ("roll", "all"),
        ("rows", [row("t", "a", pane=pane, count=0, last=0.0, generation=2)]),
    ]
    ran(history, store, connection)
    assert [set(stored(store, name)) for name in ROLLED] == [{("b", pane - pane % LEVEL[n].width_ms)} for n in ROLLED]


def test_control_recomputed_from_what_is_left_a_minute_would_be_wrong(store: PostgresStore, connection):
    """The same history with the edge forgotten: the guard is what keeps the whole."""
    pane = START_MS
    history = [("rows", [row("t", "a", pane=pane), row("t", "a", pane=pane + 10_000, count=2)]), ("roll", "all")]
    ran(history, store, connection)
    whole = stored(store, "1m")
    connection.execute("delete from aggregate_10s where pane = to_timestamp($1)", [pane // 1000])
    connection.execute("insert into rollup_dirty select '1m', 't', 'a', 't', to_timestamp($1)", [pane // 1000])
    connection.execute("update level set edge = to_timestamp($1) where level = '10s'", [pane // 1000 + 10])
    roll_up_all(connection)
    assert stored(store, "1m") == whole
    connection.execute("insert into rollup_dirty select '1m', 't', 'a', 't', to_timestamp($1)", [pane // 1000])
    connection.execute("update level set edge = '1970-01-01 00:00:00+00'")
    roll_up_all(connection)
    assert stored(store, "1m") != whole
