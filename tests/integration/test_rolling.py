"""Rollups go on beside the sink: rows never wait for a pass, and what ends a pass ends neither of them."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from connectors.sinks.base import Sink
from tests.integration.sink_processes import until
from tests.integration.sinks import fresh_database, opened, row
from tests.integration.stores.postgres import PostgresStore
from tests.integration.test_rollup import assert_levels_are_true, some_rows

WAITING = "select count(*) from pg_stat_activity where wait_event = 'advisory' and datname = current_database()"


@pytest.fixture
def store(postgres: str) -> PostgresStore:
    store = PostgresStore(fresh_database(postgres))
    store.settings = store.settings.model_copy(update={"keep_1m_days": 3_000})
    return store


@contextmanager
def held_up(store: PostgresStore) -> Iterator[None]:
    """No pass gets on meanwhile: they take turns, and it is ours."""
    with psycopg.connect(store.url, autocommit=True) as connection, connection.transaction():
        connection.execute("select pg_advisory_xact_lock(hashtext('headwater rollup'))")
        yield


def waiting(store: PostgresStore, passes: int) -> None:
    until(lambda: store.query(WAITING) == [(passes,)], f"{passes} passes wait for their turn")


def settled(store: PostgresStore) -> None:
    """Every mark is worked off, and so every level says what its rows say."""
    until(lambda: store.query("select count(*) from rollup_dirty") == [(0,)], "no mark is left")
    assert_levels_are_true(store)


def written(sink: Sink, seed: int, size: int = 40) -> None:
    sink.write(some_rows(random.Random(seed), size), {0: seed * 1_000})
    sink.flush()


def test_rows_do_not_wait_for_a_pass(store: PostgresStore):
    with opened(store) as sink:
        sink.upkeep()
        written(sink, 1)
        with held_up(store):
            waiting(store, 1)
            written(sink, 2)
            assert store.query('select "offset" from sink_offset') == [(2_000,)]
        settled(store)
        written(sink, 3)
        settled(store)
    assert_levels_are_true(store)


def test_a_pass_whose_connection_ends_is_made_again(store: PostgresStore, monkeypatch):
    monkeypatch.setattr("connectors.sinks.rolling._AGAIN_S", 0.1)
    with opened(store) as sink:
        sink.upkeep()
        written(sink, 4)
        with held_up(store):
            waiting(store, 1)
            ended = store.query(f"select count(pg_terminate_backend(pid)) from ({WAITING.replace('count(*)', 'pid')})")
            assert ended == [(1,)]
        settled(store)
        written(sink, 5)
        settled(store)
    assert_levels_are_true(store)


def test_letting_go_cancels_a_pass_and_begins_anew_later(store: PostgresStore, monkeypatch):
    monkeypatch.setattr("connectors.sinks.rolling._ENDING_S", 60)
    with opened(store) as sink:
        sink.upkeep()
        written(sink, 6)
        with held_up(store):
            waiting(store, 1)
            sink.disconnect()
            waiting(store, 0)
        sink.positions()
        sink.upkeep()
        settled(store)
    assert_levels_are_true(store)


def test_closing_leaves_every_level_true(store: PostgresStore):
    with opened(store) as sink:
        sink.upkeep()
        sink.write([row("demo", "d")], {0: 1})
        sink.close()
    assert_levels_are_true(store)
