"""Corrections are put together into reads that are bounded, whole, and no wider than what was asked for."""

from hypothesis import given
from hypothesis import strategies as st

from headwater.model.pack import PANE_MS, Correction
from headwater.workers.coalesce import MOST_SPANS, Waiting

DAY_MS = 86_400_000
panes = st.builds(
    lambda day, step: day * DAY_MS + step * PANE_MS, st.integers(0, 3), st.integers(0, 20) | st.integers(8_630, 8_639)
)
asked = st.lists(
    st.builds(
        lambda device, pane, metrics, partition, offset: Correction(
            v=1,
            tenant="t",
            device=device,
            pane=pane,
            metrics=sorted(metrics),
            partition=partition,
            offset=offset,
            log_time=0,
        ),
        st.sampled_from("abc"),
        panes,
        st.sets(st.sampled_from("xyz"), min_size=1),
        st.integers(0, 1),
        st.integers(0, 9),
    ),
    max_size=60,
)


def waiting(corrections: list[Correction]) -> Waiting:
    made = Waiting()
    for one in corrections:
        made.add(one)
    return made


def rows_of(corrections) -> set:
    return {(one.tenant, one.device, metric, one.pane) for one in corrections for metric in one.metrics}


@given(asked, st.integers(1, 12))
def test_every_row_is_read_once_and_reads_are_bounded(corrections, most):
    reads = list(waiting(corrections).reads(most))
    wanted = [row for read in reads for row in read.wanted]
    assert len(wanted) == len(set(wanted))
    assert set(wanted) == rows_of(corrections)
    assert sorted(map(repr, (one for read in reads for one in read.asked))) == sorted(map(repr, corrections))
    for read in reads:
        assert len(read.wanted) <= max(most, 3)
        assert len(read.spans) <= MOST_SPANS
        assert len({span.first // DAY_MS for span in read.spans}) == 1
        covered = [(s.device, pane) for s in read.spans for pane in range(s.first, s.end, PANE_MS)]
        assert len(covered) == len(set(covered))
        assert set(covered) == {(device, pane) for _, device, _, pane in read.wanted}
        assert {row[2] for row in read.wanted} == read.metrics


def test_a_buffer_of_hours_is_a_handful_of_reads_and_one_span_each():
    corrections = [
        Correction(v=1, tenant="t", device="d", pane=n * PANE_MS, metrics=["a", "b"], partition=0, offset=n, log_time=0)
        for n in range(7_200)
        for _ in range(3)
    ]
    reads = list(waiting(corrections).reads(10_000))
    assert len(reads) == 2
    assert [len(read.spans) for read in reads] == [1, 1]


@given(asked, st.integers(0, 1), st.integers(0, 9))
def test_what_names_a_lost_position_is_taken_out_and_nothing_else(corrections, partition, first):
    made = waiting(corrections)
    dropped = made.drop(partition, first)
    lost = [one for one in corrections if one.partition == partition and one.offset >= first]
    left = [one for one in corrections if one not in lost]
    assert sorted(map(repr, dropped)) == sorted(map(repr, lost))
    assert made.count == len(left)
    assert {row for read in made.reads(100) for row in read.wanted} == rows_of(left)
    assert made.needed == {
        p: max(one.offset for one in left if one.partition == p) for p in {one.partition for one in left}
    }
