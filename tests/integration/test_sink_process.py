"""The sinks as processes: killed, stopped, fed with rubbish, cut off; nothing is lost and nothing counts twice."""

import base64
import signal

import pytest

from headwater.model import codec
from headwater.model.topics import DEAD_LETTER, PROCESSED
from tests.integration.sink_processes import complete, dead_letters, partials, produce, until
from tests.integration.sinks import T0, create_topics, fresh_database, row
from tests.integration.stores import Store
from tests.integration.stores.postgres import PostgresStore
from tests.integration.stores.valkey import ValkeyStore


@pytest.fixture(scope="module")
def bootstrap(kafka: str) -> str:
    create_topics(kafka, [PROCESSED.name, DEAD_LETTER.name])
    return kafka


@pytest.fixture(params=["postgres", "valkey"])
def store(request: pytest.FixtureRequest, bootstrap: str) -> Store:
    if request.param == "postgres":
        return PostgresStore(fresh_database(request.getfixturevalue("postgres")))
    return ValkeyStore(request.getfixturevalue("valkey"))


def test_killed_in_mid_stream_it_goes_on_where_the_store_stands(store: Store, start, bootstrap: str, tenant: str):
    rows = partials(tenant)
    cut = len(rows) // 4
    for number in range(3):
        before = store.rows(tenant)
        sink = start()
        produce(bootstrap, rows[number * cut : (number + 1) * cut])
        until(lambda before=before: store.rows(tenant) != before, "some of the new rows")
        sink.end(signal.SIGKILL)
    produce(bootstrap, rows[3 * cut :])
    start()
    until(lambda: complete(store, tenant), "every row in its last version")


def test_told_to_stop_it_flushes_and_ends_with_nought(store: Store, start, bootstrap: str, tenant: str):
    sink = start()
    produce(bootstrap, [row(tenant, "d")])
    until(lambda: bool(store.rows(tenant)), "the row")
    output = sink.end(signal.SIGTERM)
    assert sink.process.returncode == 0
    assert "sink.closed" in output


def test_connections_cut_while_rows_flow_cost_no_row(store: Store, start, bootstrap: str, tenant: str):
    rows = partials(tenant)
    cut = len(rows) // 6
    start()
    for number in range(6):
        produce(bootstrap, rows[number * cut : (number + 1) * cut])
        store.kill_connections()
    until(lambda: complete(store, tenant), "every row in its last version")


def test_two_sinks_at_once_end_in_the_same_rows(store: Store, start, bootstrap: str, tenant: str):
    start(), start()
    produce(bootstrap, partials(tenant))
    until(lambda: complete(store, tenant), "every row in its last version")


def test_what_cannot_be_read_becomes_a_dead_letter_and_stops_nothing(store: Store, start, bootstrap, tenant: str):
    good = row(tenant, "d")
    rubbish = (
        f"no json {tenant}".encode(),
        f'{{"v":1,"tenant":"{tenant}"}}'.encode(),
        codec.encode(row(tenant, "off", pane=T0 + 1)),
        codec.encode(row(tenant, "nul\x00")),
        codec.encode(row(tenant, "huge", dup=2**64)),
        codec.encode(row(tenant, "new")).replace(b'{"v":1', b'{"v":9'),
    )
    start()
    produce(bootstrap, [good], extra=rubbish)
    until(lambda: bool(store.rows(tenant)), "the good row")
    assert set(store.rows(tenant)) == {("d", "t", T0)}
    door = store.sink().name
    refused = lambda: [each for each in dead_letters(bootstrap) if each.door == door]  # noqa: E731
    # In other partitions than the good row, so they may be read later.
    until(lambda: set(rubbish) <= {base64.b64decode(each.payload) for each in refused()}, "letters of the others")
    letters = refused()
    assert {each.reason for each in letters} == {"bad-record"}
