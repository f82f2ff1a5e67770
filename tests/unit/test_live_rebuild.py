"""The live core during a rebuild: rows of the new epoch wait for their markers, but for those of panes that are new."""

from api.state.live import LiveLog
from headwater.model.generation import marker
from tests.unit.test_live_core import FLEET, PARTITIONS, T0, folded, row


def marked_up_to(live: LiveLog, generation: int, partitions: int = PARTITIONS) -> None:
    for partition in range(partitions):
        live.fold(partition, live.positions.get(partition, 0), marker(partition, generation, T0))


def counts(changes) -> list[int]:
    return [change.cells.count for change in changes]


def test_rows_of_a_rebuild_wait_for_the_markers_of_all_partitions():
    live = folded(row(count=9), row(count=5, pane=1), partitions=PARTITIONS)
    seq = live.seq
    assert live.fold(0, 10, row(count=2, generation=1_000)) is None
    assert live.fold(0, 11, row(count=4, generation=1_000)) is None
    assert live.fold(0, 12, row(count=1, generation=1_000, pane=1)) is None
    assert live.since(FLEET, seq) == []
    marked_up_to(live, 1_000, PARTITIONS - 1)
    assert live.release() == []
    live.fold(PARTITIONS - 1, 30, marker(PARTITIONS - 1, 1_000, T0))
    released = live.release()
    assert counts(released) == [4, 1]
    # Whoever was here before the markers is told of them when coming back.
    assert counts(live.since(FLEET, seq)) == [4, 1]
    assert all((change.partition, change.offset) == (PARTITIONS - 1, 30) for change in released)
    assert counts([live.fold(0, 40, row(count=5, generation=1_000))]) == [5]
    assert live.release() == []


def test_rows_of_panes_that_nobody_has_seen_are_shown_at_once_and_repairs_too():
    live = folded(row(count=9))
    assert counts([live.fold(0, 10, row(count=1, generation=1_000, pane=1))]) == [1]
    assert counts([live.fold(0, 11, row(count=2, generation=1_000, pane=1))]) == [2]
    assert counts([live.fold(0, 12, row(count=3, generation=2))]) == [3]
    # What lies between is not known to be new: it waits.
    assert live.fold(0, 13, row(count=3, generation=1_000)) is None


def test_rows_that_wait_are_bounded_and_clients_start_anew_if_some_were_let_go():
    live = LiveLog(3, PARTITIONS)
    for pane in range(6):
        live.fold(0, pane, row(count=9, pane=pane))
    seq = live.seq
    for pane in range(6):
        live.fold(0, 10 + pane, row(count=1, generation=1_000, pane=pane))
    marked_up_to(live, 1_000)
    assert len(live.release()) == 3
    assert live.since(FLEET, seq) is None
