"""Rows of a rebuild that wait in the memory of a sink, whose store alone knows which rows kept them back."""

from connectors.sinks.base import Batch, Sink
from connectors.sinks.waiting import Waiting
from headwater.model.generation import epoch, marker
from headwater.model.pack import Aggregate
from tests.unit.test_sink_base import row

REBUILT = 1_001


class DictSink(Sink):
    """Keeps the version of each device's row; devices named bad are poison."""

    name = "dict"
    keeps_positions = False
    poison = (ValueError,)

    def __init__(self, partitions: int = 2) -> None:
        super().__init__()
        self.held: dict[str, Aggregate] = {}
        self.waiting = Waiting(partitions)
        self.refused: list[str] = []
        self.refuse = lambda items, _why, _reason="": self.refused.extend(each.device for each in items)

    def positions(self) -> dict[int, int]:
        return {}

    def store(self, batch: Batch) -> None:
        offered = self.waiting.offered(batch)
        if any(each.device == "bad" for each in offered):
            raise ValueError("no such row")
        for each in offered:
            held = self.held.get(each.device)
            hidden = each.generation >= self.waiting.hidden and held and epoch(each.generation) > epoch(held.generation)
            if held is None or (each.version >= held.version and not hidden):
                self.held[each.device] = each
        self.waiting.stored(batch)

    def disconnect(self) -> None:
        self.waiting.forget()

    def take(self, *rows: Aggregate) -> None:
        self.write(rows, {0: 1})
        self.flush()

    def counts(self) -> dict[str, int]:
        return {device: each.count for device, each in self.held.items()}


def markers(generation: int = REBUILT) -> list[Aggregate]:
    return [marker(partition, generation, 0) for partition in range(2)]


def test_what_was_kept_back_is_offered_again_with_the_last_marker():
    sink = DictSink()
    sink.take(row("a", count=5), row("b", count=6))
    sink.take(row("a", count=1, generation=REBUILT))
    sink.take(row("a", count=2, generation=REBUILT), markers()[0])
    assert sink.counts() == {"a": 5, "b": 6}
    assert sink.waiting
    sink.take(markers()[1])
    assert sink.counts() == {"a": 2, "b": 6}
    assert not sink.waiting


def test_a_row_of_the_same_flush_as_the_markers_wins_over_the_one_that_waited():
    sink = DictSink()
    sink.take(row("a", count=5))
    sink.take(row("a", count=1, generation=REBUILT))
    sink.take(row("a", count=3, generation=REBUILT), *markers())
    assert sink.counts() == {"a": 3}


def test_a_row_that_is_refused_beside_the_markers_costs_none_of_those_that_waited():
    sink = DictSink()
    sink.take(*(row(device, count=5) for device in "abc"))
    sink.take(*(row(device, count=1, generation=REBUILT) for device in "abc"))
    sink.take(row("d"), row("bad"), *markers())
    assert sink.refused == ["bad"]
    assert sink.counts() == {"a": 1, "b": 1, "c": 1, "d": 1}


def test_after_an_outage_nothing_waits_and_the_markers_that_were_seen_count():
    sink = DictSink()
    sink.take(row("a", count=5))
    sink.take(row("a", count=1, generation=REBUILT), markers()[0])
    sink.reset()
    assert not sink.waiting
    sink.take(row("a", count=1, generation=REBUILT), *markers())
    assert sink.counts() == {"a": 1}


def test_of_one_place_the_newest_pane_waits():
    waiting = Waiting(1, place=lambda each: each.device)
    batch = Batch()
    for pane in (20_000, 10_000):
        batch.add(row("a", pane=pane, generation=REBUILT))
    assert [each.pane for each in waiting.offered(batch)] == [20_000]
    waiting.stored(batch)
    only_marker = Batch(markers={0: REBUILT})
    assert [each.pane for each in waiting.offered(only_marker)] == [20_000]
