"""The reference itself, by hand-made logs small enough to check in the head."""

import pytest

from headwater.model.device import DeviceRecord
from headwater.model.pack import PANE_MS, Pack
from headwater.truth.reference import Expected, Record, Reference, compare, fold_readings, rows_differ
from headwater.truth.registries import Said, registry_of

PANE = 1_760_000_000_000
KEY = ("t", "d", "a", PANE)


def record(at: list[int], values: list[float], log_time: int = PANE + 1_000, offset: int = 0) -> Record:
    pack = Pack(v=1, tenant="t", device="d", pane=PANE, at=at, metrics={"a": values}, received=log_time - 5)
    return Record(pack, 0, offset, log_time)


def folded(*records: Record, horizon_ms: int = 60_000) -> Reference:
    reference = Reference(horizon_ms)
    for one in records:
        reference.take(one)
    return reference


def test_a_row_sums_up_its_readings():
    row = folded(record([10, 20, 9_999], [1.0, -2.0, 4.0])).rows()[KEY]
    assert (row.count, row.sum, row.sum_sq, row.min, row.max, row.last) == (3, 3.0, 21.0, -2.0, 4.0, 4.0)
    assert (row.first_ms, row.last_ms) == (PANE + 10, PANE + 9_999)
    assert (row.as_of, row.received, row.dup) == (PANE + 1_000, PANE + 995, 0)


def test_the_first_in_the_log_counts():
    row = folded(record([10, 20], [1.0, 2.0]), record([20, 30], [99.0, 3.0])).rows()[KEY]
    assert (row.count, row.sum, row.dup, row.last) == (3, 6.0, 1, 3.0)


def test_the_last_value_is_the_newest_by_event_time_not_by_arrival():
    assert folded(record([50], [5.0]), record([40], [4.0])).rows()[KEY].last == 5.0


@pytest.mark.parametrize(("past", "late"), [(-1, False), (0, False), (1, True)])
def test_late_is_past_the_end_of_the_pane_and_the_horizon(past, late):
    reference = folded(record([1], [1.0], PANE + PANE_MS + 60_000 + past, offset=7))
    assert [one.offset for one in reference.corrections] == ([7] if late else [])
    assert bool(reference.rows()) is not late


def test_readings_fold_to_the_same_rows_however_they_were_packed():
    log = [record([10, 20], [1.0, 2.0]), record([20, 30], [99.0, 3.0])]
    readings = [("t", "d", "a", PANE + at, value) for at, value in ((10, 1.0), (20, 2.0), (20, 99.0), (30, 3.0))]
    row = folded(*log).rows()[KEY]
    assert fold_readings(readings) == {
        KEY: Expected(row.count, row.sum, row.sum_sq, row.min, row.max, row.first_ms, row.last_ms, row.last)
    }


def test_the_comparison_sees_each_kind_of_difference():
    rows = folded(record([10], [1.0])).rows()
    other = folded(record([10], [1.0 + 1e-6])).rows()
    assert compare(rows, rows) == ([], [], [])
    assert compare(rows, {}) == ([KEY], [], [])
    assert compare({}, rows) == ([], [KEY], [])
    assert [key for key, _, _ in compare(rows, other)[2]] == [KEY]


def test_stamps_and_counts_are_compared_to_the_unit_and_sums_to_a_billionth():
    one = {KEY: Expected(1, 1e6, 1.0, 1.0, 1.0, PANE, PANE, 1.0)}
    assert rows_differ(one, {KEY: one[KEY]._replace(sum=1e6 + 1e-6)}) == ([], [], [])
    assert rows_differ(one, {KEY: one[KEY]._replace(first_ms=PANE + 1)})[2]
    assert rows_differ(one, {KEY: one[KEY]._replace(sum=1e6 + 1.0)})[2]


def test_a_reference_without_dedup_differs():
    # The control: counting copies must show.
    log = [record([10, 20], [1.0, 2.0]), record([20, 30], [99.0, 3.0], offset=1)]
    apart = {}
    for number, one in enumerate(log):
        apart |= {(*key[:3], key[3] + number): row for key, row in folded(one).rows().items()}
    assert sum(row.count for row in apart.values()) == 4
    assert folded(*log).rows()[KEY].count == 3


def version(log_time: int, device: str = "d", **given) -> Said:
    return Said(DeviceRecord(v=1, tenant="t", device=device, version=1, changed_ms=0, **given), 0, log_time)


def test_a_reading_counts_where_its_device_was_at_log_time_for_good():
    said = [
        version(PANE + 1_000, site="north", model="pump"),
        version(PANE + 2_000, site="south", model="pump"),
        version(PANE + 4_000, deleted=True),
    ]
    reference = Reference(60_000, registry=registry_of(said))
    log_times = (PANE + 999, PANE + 1_000, PANE + 1_999, PANE + 2_000, PANE + 4_000)
    for number, log_time in enumerate(log_times):
        reference.take(record([number], [10.0**number], log_time))
    # Once more, from another site: the first in the log counts, where it was.
    reference.take(record([1], [99.0], PANE + 2_500))
    rows = {key[1]: (row.sum, row.as_of, row.dup) for key, row in reference.rows().items()}
    assert rows == {
        "d": (11_111.0, PANE + 4_000, 1),
        "_site/north": (110.0, PANE + 1_999, 0),
        "_site/south": (1_000.0, PANE + 2_000, 0),
        "_model/pump": (1_110.0, PANE + 2_000, 0),
    }


def test_of_newest_readings_at_one_moment_that_of_the_largest_name_is_the_last():
    reference = Reference(60_000, registry=registry_of([version(0, name, site="s") for name in ("d1", "d10", "d2")]))
    for value, name in enumerate(("d2", "d10", "d1")):
        pack = Pack(v=1, tenant="t", device=name, pane=PANE, at=[7], metrics={"a": [float(value)]})
        reference.take(Record(pack, 0, value, PANE + 10))
    assert reference.rows()["t", "_site/s", "a", PANE].last == 0.0
