"""PostgreSQL seen from outside."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from connectors.sinks.base import Sink
from connectors.sinks.postgres import PostgresSink
from headwater.model.settings import SinkSettings
from tests.integration.sinks import fresh_database
from tests.integration.stores import Store


class PostgresStore(Store):
    """PostgreSQL seen from outside."""

    keeps_log_time = True
    outage = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'sink-postgres' and datname = current_database()"
    )

    def __init__(self, url: str) -> None:
        self.url = url
        self.settings = SinkSettings(postgres=url, sink_coalesce_ms=0, sink_rollup_ms=100, keep_10s_days=3_000)

    def sink(self) -> Sink:
        return PostgresSink(self.settings)

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement, values).fetchall()

    def rows(self, tenant: str) -> dict[tuple[str, str, int], tuple[int, int, float]]:
        """(device, metric, pane) -> (generation, count, last)."""
        found = self.query(
            "select device, metric, (extract(epoch from pane) * 1000)::bigint, generation, count, last"
            " from aggregate_10s where tenant = %s",
            tenant,
        )
        return {(device, metric, pane): tuple(rest) for device, metric, pane, *rest in found}

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    def kill_connections(self) -> None:
        self.query(self.outage)

    @contextmanager
    def refusing(self, tenant: str, device: str) -> Iterator[None]:
        """Meanwhile the store takes no row of this device."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            table = "alter table aggregate_10s"
            rule = f"check (tenant <> '{tenant}' or device <> '{device}') not valid"
            connection.execute(f"{table} add constraint refusing {rule}")
            try:
                yield
            finally:
                connection.execute(f"{table} drop constraint refusing")

    def log_time(self, topic: str, partition: int) -> int | None:
        held = "select max(log_time) from log_time where topic = %s and partition = %s"
        return self.query(held, topic, partition)[0][0]

    def shown(self) -> int:
        return int(self.query("select coalesce(max(generation), 0) from shown_generation")[0][0])


_SHARED: dict[str, str] = {}


def open_store(request: pytest.FixtureRequest) -> PostgresStore:
    """One database for all tests of a module."""
    name = request.module.__name__
    if name not in _SHARED:
        _SHARED[name] = fresh_database(request.getfixturevalue("postgres"))
    return PostgresStore(_SHARED[name])
