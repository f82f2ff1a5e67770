"""The embedded ClickHouse as clients meet it: the official client, plain HTTP, kills, and two at once."""

import json
import os
import signal
import subprocess
import threading
from pathlib import Path
from urllib.parse import urlsplit

import clickhouse_connect
import httpx
import psutil
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from headwater.model.settings import Settings
from headwater.raw.client import connect, connect_to
from headwater.stack import clickhouse as stack_clickhouse
from headwater.stack import foreground
from headwater.stack.state import State


@pytest.fixture
def client(clickhouse: str):
    made = connect(Settings(clickhouse=clickhouse))
    made.command("drop table if exists trial")
    made.command(
        "create table trial (a UInt32, s String) engine = MergeTree order by a"
        " settings fsync_after_insert = 1, fsync_part_directory = 1"
    )
    yield made
    made.command("drop table trial")
    made.close()


def login(url: str) -> tuple[str, tuple[str, str]]:
    parts = urlsplit(url)
    return f"http://{parts.hostname}:{parts.port}/", (parts.username or "", parts.password or "")


def test_the_official_client_inserts_and_asks_in_every_format(client):
    client.insert("trial", [[1, "one"], [2, "zwei \\ \t ' 🌡"]], column_names=["a", "s"])
    client.raw_insert("trial", ["a", "s"], b'{"a":3,"s":"three"}\n{"a":4}\n', fmt="JSONEachRow")
    client.raw_insert("trial", ["a", "s"], "5,five\n", fmt="CSV")
    client.raw_insert("trial", ["a", "s"], b"\x06\x00\x00\x00\x03six", fmt="RowBinary")
    sink = pa.BufferOutputStream()
    table = pa.table({"a": pa.array([7], pa.uint32()), "s": ["seven"]})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    client.raw_insert("trial", ["a", "s"], sink.getvalue().to_pybytes(), fmt="ArrowStream")
    client.command("insert into trial values (8, 'eight')")
    rows = client.query("select a, s from trial order by a").result_rows
    assert rows == [
        (1, "one"),
        (2, "zwei \\ \t ' 🌡"),
        (3, "three"),
        (4, ""),
        (5, "five"),
        (6, "six"),
        (7, "seven"),
        (8, "eight"),
    ]
    assert json.loads(client.raw_query("select s from trial where a = 1", fmt="JSONEachRow")) == {"s": "one"}
    assert client.raw_query("select a, s from trial where a = 1", fmt="CSV") == b'1,"one"\n'
    assert client.raw_query("select a from trial where a = 1", fmt="RowBinary") == b"\x01\x00\x00\x00"
    with pa.ipc.open_stream(client.raw_query("select a from trial order by a", fmt="ArrowStream")) as arrow:
        assert arrow.read_all()["a"].to_pylist() == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_compressed_body_in_pieces_is_taken(client):
    rows = [[number, "x" * (number % 50)] for number in range(50_000)]
    client.insert("trial", rows, column_names=["a", "s"])
    assert client.command("select count(), sum(length(s)) from trial") == ["50000", str(sum(len(s) for _, s in rows))]

    def pieces():
        for number in range(1_000):
            yield b'{"a":%d}\n' % number

    client.raw_insert("trial", ["a"], pieces(), fmt="JSONEachRow")
    assert client.command("select count() from trial") == 51_000


def test_parameters_are_bound_and_settings_hold_for_one_request(client):
    odd = "quote ' back\\slash \n tab\t {x:String}"
    assert client.query("select {t:String}, {n:Int64}", {"t": odd, "n": -5}).result_rows == [(odd, -5)]
    with pytest.raises(DatabaseError) as refused:
        client.query("select * from numbers(100)", settings={"max_rows_to_read": 10})
    assert refused.value.code == 158
    for _ in range(6):
        assert len(client.query("select * from numbers(100)").result_rows) == 100


def test_errors_say_their_number(client, clickhouse: str):
    for statement, code in [("select 1 from nowhere", 60), ("selekt", 62), ("select throwIf(1)", 395)]:
        with pytest.raises(DatabaseError) as refused:
            client.query(statement)
        assert refused.value.code == code
    with pytest.raises(DatabaseError) as refused:
        client.raw_insert("trial", ["a", "s"], b"not json", fmt="JSONEachRow")
    assert refused.value.code in (26, 27, 117)
    assert client.command("select count() from trial") == 0
    address, who = login(clickhouse)
    answer = httpx.post(address, content=b"select 1", auth=who, headers={"Content-Encoding": "snappy"}, timeout=60)
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (501, "48")


def test_who_has_not_the_password_gets_nothing_but_a_ping(clickhouse: str):
    address, (user, password) = login(clickhouse)
    assert httpx.get(f"{address}ping", timeout=60).text == "Ok.\n"
    for who in [None, (user, "wrong"), ("default", password), (user, "")]:
        answer = httpx.get(address, params={"query": "select 1"}, auth=who, timeout=60)
        assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (403, "516")
    assert httpx.get(address, params={"query": "select 1"}, auth=(user, password), timeout=60).text == "1\n"
    headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
    assert httpx.get(address, params={"query": "select 1"}, headers=headers, timeout=60).text == "1\n"


def test_many_threads_at_once(clickhouse: str, client):
    faults: list[Exception] = []

    def work(number: int) -> None:
        try:
            own = connect_to(clickhouse)
            for part in range(10):
                own.insert("trial", [[number * 1_000 + part, str(number)]], column_names=["a", "s"])
                assert own.query("select {n:Int64}", {"n": part}).result_rows == [(part,)]
            own.close()
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert client.command("select count(), uniqExact(a) from trial") == ["120", "120"]


def test_an_answer_too_large_is_refused_and_the_server_goes_on(client):
    with pytest.raises(DatabaseError) as refused:
        client.raw_query("select repeat('x', 1000) from numbers(1000000)", fmt="RowBinary")
    assert refused.value.code in (241, 396)
    with pytest.raises(DatabaseError) as refused:
        client.query("select uniqExact(number) from numbers(100000000)")
    assert refused.value.code == 241
    assert client.command("select 1") == 1


def test_killed_under_load_it_has_every_row_that_it_answered_for(tmp_path: Path):
    own = State.open(tmp_path, {"HEADWATER_PORTS": "free"})
    program, url = stack_clickhouse.program(own), own.url("clickhouse")
    answered: set[int] = set()
    for life in range(3):
        process = foreground.start(program, own.folder / "logs")
        foreground.wait_ready(program, process, own.folder / "logs")
        client = connect_to(url)
        client.command("create table if not exists t (a UInt64) engine = MergeTree order by a settings"
                       " fsync_after_insert = 1, fsync_part_directory = 1")  # fmt: skip
        enough = threading.Event()

        def load(client=client, life=life, enough=enough) -> None:
            for number in range(100_000):
                try:
                    client.raw_insert("t", ["a"], f"{life * 1_000_000 + number}\n", fmt="CSV")
                except Exception:
                    return
                answered.add(life * 1_000_000 + number)
                if number == 40:
                    enough.set()

        thread = threading.Thread(target=load)
        thread.start()
        assert enough.wait(200)
        process.send_signal(signal.SIGKILL)
        process.wait()
        thread.join()
    with foreground.running(program, own.folder / "logs"):
        held = {row[0] for row in connect_to(url).query("select a from t").result_rows}
        assert len(answered) > 120
        assert answered <= held


def test_two_servers_never_share_a_folder(tmp_path: Path):
    own = State.open(tmp_path, {"HEADWATER_PORTS": "free"})
    program = stack_clickhouse.program(own)
    with foreground.running(program, own.folder / "logs") as first:
        second = subprocess.run(
            program.command,
            env={**os.environ, **program.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert second.returncode != 0
        assert "another process has it open" in second.stderr + second.stdout
        assert psutil.Process(first.pid).is_running()


def test_the_schema_applies_once_and_twice(clickhouse: str):
    assert stack_clickhouse.migrate(clickhouse) == []
    tables = {row[0] for row in connect_to(clickhouse).query("show tables").result_rows}
    assert {"reading", "raw_position", "raw_edge", "raw_record"} <= tables


def test_connecting_by_the_clients_own_defaults_works(clickhouse: str):
    parts = urlsplit(clickhouse)
    plain = clickhouse_connect.get_client(
        host=parts.hostname, port=parts.port, username=parts.username, password=parts.password
    )
    assert plain.query("select 1 + 1").result_rows == [(2,)]
    plain.close()


def test_told_to_stop_it_ends_with_nought(tmp_path: Path):
    own = State.open(tmp_path, {"HEADWATER_PORTS": "free"})
    program = stack_clickhouse.program(own)
    process = foreground.start(program, own.folder / "logs")
    foreground.wait_ready(program, process, own.folder / "logs")
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0
    assert "clickhouse.stopped" in (own.folder / "logs" / "clickhouse.log").read_text()
