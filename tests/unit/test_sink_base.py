"""What every sink inherits: coalescing, when a flush is due, and what happens to a row that no store takes."""

import random

import pytest

from connectors.sinks.base import Batch, Sink
from headwater.model.pack import PULSE_TENANT, Aggregate


def row(device: str = "d", count: int = 1, **given) -> Aggregate:
    names = {"v": 1, "tenant": "demo", "device": device, "metric": "t", "pane": 0, "generation": 1, "count": count}
    values = dict.fromkeys(("sum", "sum_sq", "min", "max", "last"), 0.0)
    times = {"first_ms": 0, "last_ms": 0, "as_of": count, "received": 0}
    return Aggregate(**{**names, **values, **times, **given})


class ListSink(Sink):
    """Keeps what it is given; refuses devices named bad as poison, and is down while told so."""

    name = "list"
    outages = (ConnectionError,)
    poison = (ValueError,)

    def __init__(self) -> None:
        super().__init__()
        self.stored: list[Batch] = []
        self.down = False

    def positions(self) -> dict[int, int]:
        return {}

    def store(self, batch: Batch) -> None:
        if self.down:
            raise ConnectionError
        if any(device.startswith("bad") for _, device, _, _ in batch.rows):
            raise ValueError("no such row")
        self.stored.append(batch)

    def disconnect(self) -> None:
        self.down = False

    @property
    def devices(self) -> list[str]:
        return [device for batch in self.stored for _, device, _, _ in batch.rows]


def test_of_a_key_only_the_newest_version_is_kept_in_any_order():
    versions = [row(count=count, generation=generation) for generation in (1, 2) for count in (1, 2, 3)]
    for seed in range(20):
        shuffled = random.Random(seed).sample(versions, len(versions))
        batch = Batch()
        for each in shuffled:
            batch.add(each)
        assert list(batch.rows.values()) == [versions[-1]]


def test_beats_are_kept_apart_as_the_largest_log_time_of_a_partition():
    batch = Batch()
    for log_time in (5, 9, 7):
        batch.add(row(f"raw-sensor-data-{3}", tenant=PULSE_TENANT, as_of=log_time))
    assert batch.rows == {}
    assert batch.beats == {("raw-sensor-data", 3): 9}


def test_halves_are_the_whole_and_only_the_second_carries_positions():
    batch = Batch({row(f"d{n}").key: row(f"d{n}") for n in range(5)}, {("raw-sensor-data", 0): 1}, {0: 7})
    first, second = batch.halves()
    assert {**first.rows, **second.rows} == batch.rows
    assert (first.positions, first.beats) == ({}, {})
    assert (second.positions, second.beats) == (batch.positions, batch.beats)


def test_a_flush_is_due_after_the_pause_or_when_too_much_waits():
    sink = ListSink()
    sink.every_ms = 3_600_000
    assert not sink.due()
    sink.write([row()], {0: 1})
    sink.flush()
    sink.write([row()], {0: 2})
    assert not sink.due()
    sink.most_pending = 1
    assert sink.due()


def test_positions_without_rows_are_flushed_too():
    sink = ListSink()
    sink.write([], {2: 9})
    assert sink.due()
    sink.flush()
    assert sink.stored[0].positions == {2: 9}


def test_poison_is_refused_alone_and_everything_else_is_stored():
    sink = ListSink()
    refused: list[str] = []
    sink.refuse = lambda rows, _why: refused.extend(each.device for each in rows)
    devices = [f"d{n}" for n in range(9)]
    sink.write([row(device) for device in ["bad1", *devices, "bad2"]], {0: 11})
    sink.flush()
    assert sorted(refused) == ["bad1", "bad2"]
    assert sorted(sink.devices) == devices
    assert [batch.positions for batch in sink.stored if batch.positions] == [{0: 11}]


def test_positions_are_stored_even_if_every_row_was_poison():
    sink = ListSink()
    sink.write([row("bad")], {0: 1})
    sink.flush()
    assert sink.devices == []
    assert sink.stored[-1].positions == {0: 1}


def test_after_an_outage_what_was_pending_waits_to_be_read_again():
    sink = ListSink()
    sink.write([row()], {0: 1})
    sink.down = True
    with pytest.raises(sink.outages):
        sink.flush()
    sink.reset()
    assert not sink.due()
    assert sink.stored == []


def test_close_lets_go_even_if_the_store_is_down():
    sink = ListSink()
    sink.write([row()], {0: 1})
    sink.down = True
    with pytest.raises(ConnectionError):
        sink.close()
    assert not sink.down, "disconnect was not called"
