"""Panes folded by ClickHouse are those of the plain reference, whatever order the readings arrived in."""

import random

import pytest

from headwater.model.fleet import is_fleet
from headwater.model.pack import PANE_MS, Pack
from headwater.model.settings import Settings
from headwater.raw.client import connect
from headwater.raw.panes import PaneSpan, counts, fleets_of, fold
from headwater.truth.logs import LogShape, random_log
from headwater.truth.reference import Record, Reference, rows_differ
from headwater.truth.registries import Said, random_registry, registry_of
from tests.integration.raw_store import empty, put, say

FOREVER_MS = 10**13


@pytest.fixture
def client(clickhouse: str):
    made = connect(Settings(clickhouse=clickhouse))
    empty(made)
    yield made
    made.close()


def everything(log: list[Record], said: list[Said]) -> Reference:
    """All of the log folded, nothing late."""
    reference = Reference(FOREVER_MS, registry=registry_of(said))
    for record in log:
        reference.take(record)
    return reference


def columns(rows: dict) -> dict:
    """What readings alone determine, and the largest log time among those that count."""
    names = ("count", "sum", "sum_sq", "min", "max", "first_ms", "last_ms", "last")
    return {key: tuple(getattr(row, name) for name in names) for key, row in rows.items()}


def shuffled(client, log: list[Record], seed: int) -> None:
    """The log in pieces, in any order, some of them twice: as after kills and a replay of the sink."""
    dice = random.Random(seed)
    pieces = [log[begin : begin + 60] for begin in range(0, len(log), 60)]
    pieces += dice.sample(pieces, len(pieces) // 3)
    dice.shuffle(pieces)
    for piece in pieces:
        put(client, piece)


@pytest.mark.parametrize("seed", range(3))
def test_folded_panes_are_those_of_the_reference(client, seed: int):
    log = random_log(seed, LogShape(devices=4, seconds=90, hz=5.0))
    said = random_registry(seed, log)
    shuffled(client, log, seed)
    say(client, said)
    expected = columns({k: row for k, row in everything(log, said).rows().items() if not k[0].startswith("_")})
    assert sum(is_fleet(key[1]) for key in expected) > 20
    first, end = min(k[3] for k in expected), max(k[3] for k in expected) + PANE_MS
    spans = [PaneSpan("t1", device, first, end) for device in sorted({key[1] for key in expected})]
    metrics = {key[2] for key in expected}
    rows = {row.key: row for row in fold(client, spans, metrics, FOREVER_MS)}
    assert rows_differ(expected, columns(rows)) == ([], [], [])
    held = counts(client, first, end, FOREVER_MS)
    assert {key: one.count for key, one in held.items()} == {key: row[0] for key, row in expected.items()}
    assert {key: one.as_of for key, one in held.items()} == {key: row.as_of for key, row in rows.items()}
    # Without the fold the copies count: the comparison sees them.
    raw = client.query("select count() from reading where kind = 'number'").result_rows[0][0]
    assert raw > sum(row[0] for key, row in expected.items() if not is_fleet(key[1]))


def test_the_fleets_of_a_late_reading_are_those_of_its_log_time(client):
    log = random_log(5, LogShape(devices=4, seconds=60, hz=3.0), with_pulses=False)
    said = random_registry(5, log)
    put(client, log)
    say(client, said)
    keys = everything(log, said).series
    wanted = {(key[0], key[1], key[3]) for key in keys if is_fleet(key[1])}
    first = log[0].pack.pane - 600_000
    spans = [PaneSpan("t1", name, first, first + 1_200_000) for name in {key[1] for key in keys} if not is_fleet(name)]
    found = {(tenant, fleet, pane) for tenant, fleet, _, pane in fleets_of(client, spans, {key[2] for key in keys})}
    assert found >= wanted
    # Only a copy that counts nowhere may name one more.
    assert len(found - wanted) < len(wanted) / 10


def test_readings_of_a_time_of_which_the_registry_is_not_known_are_in_no_fleet(client):
    log = random_log(6, LogShape(devices=3, seconds=60), with_pulses=False)
    said = [one._replace(log_time=0) for one in random_registry(6, log, edits=1)]
    put(client, log)
    say(client, said)
    until = log[len(log) // 2].log_time
    expected = everything([record for record in log if record.log_time < until], said).series
    held = counts(client, 0, 10**13, until)
    got = {key: one.count for key, one in held.items() if is_fleet(key[1])}
    assert got == {key: len(series.values) for key, series in expected.items() if is_fleet(key[1])}
    assert got


def test_only_the_panes_and_metrics_that_were_asked_for_are_read(client):
    names = ("it's", "back\\slash", "ünï 😀", "b")
    log = [
        Record(Pack(v=1, tenant="t", device=device, pane=n * PANE_MS, at=[0, 9_999], metrics={m: [1.0, 2.0]}), 0, n, n)
        for device in ("d'1", "d2", "d3")
        for n in range(10)
        for m in names
    ]
    put(client, log)
    spans = [
        PaneSpan("t", "d'1", 20_000, 40_000),
        PaneSpan("t", "d3", 50_000, 60_000),
        PaneSpan("t", "nobody", 0, 90_000),
    ]
    rows = list(fold(client, spans, names[:3]))
    panes = {("d'1", 20_000), ("d'1", 30_000), ("d3", 50_000)}
    assert {row.key for row in rows} == {("t", device, m, pane) for device, pane in panes for m in names[:3]}
    assert {(row.count, row.sum, row.first_ms - row.pane, row.last_ms - row.pane, row.last) for row in rows} == {
        (2, 3.0, 0, 9_999, 2.0)
    }
    assert list(fold(client, [], names)) == []
    assert set(counts(client, 30_000, 40_000)) == {("t", d, m, 30_000) for d in ("d'1", "d2", "d3") for m in names}
