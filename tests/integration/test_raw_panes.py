"""Panes folded by ClickHouse are those of the plain reference, whatever order the readings arrived in."""

import random

import pytest

from headwater.model.pack import PANE_MS, Pack
from headwater.model.settings import Settings
from headwater.raw.client import connect
from headwater.raw.panes import PaneSpan, counts, fold
from headwater.truth.logs import LogShape, random_log
from headwater.truth.reference import Record, Reference, rows_differ
from tests.integration.raw_store import empty, put

FOREVER_MS = 10**13


@pytest.fixture
def client(clickhouse: str):
    made = connect(Settings(clickhouse=clickhouse))
    empty(made)
    yield made
    made.close()


def everything(log: list[Record]) -> Reference:
    """All of the log folded, nothing late."""
    reference = Reference(FOREVER_MS)
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
    shuffled(client, log, seed)
    expected = columns({k: row for k, row in everything(log).rows().items() if not k[0].startswith("_")})
    spans = [
        PaneSpan("t1", f"d{device:03d}", min(k[3] for k in expected), max(k[3] for k in expected) + PANE_MS)
        for device in range(4)
    ]
    metrics = {key[2] for key in expected}
    rows = {row.key: row for row in fold(client, spans, metrics)}
    assert rows_differ(expected, columns(rows)) == ([], [], [])
    held = counts(client, spans[0].first, spans[0].end)
    assert {key: one.count for key, one in held.items()} == {key: row[0] for key, row in expected.items()}
    assert {key: one.as_of for key, one in held.items()} == {key: row.as_of for key, row in rows.items()}
    # Without the fold the copies count: the comparison sees them.
    raw = client.query("select count() from reading where kind = 'number'").result_rows[0][0]
    assert raw > sum(row[0] for row in expected.values())


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
