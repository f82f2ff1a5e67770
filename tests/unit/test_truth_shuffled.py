from collections import defaultdict

import pytest

from headwater.model.pack import PANE_MS
from headwater.truth.logs import HOUR_MS, START_MS, LogShape, random_log, shuffled
from headwater.truth.reference import Reference, fold_readings

SHAPE = LogShape(seconds=40, hours=0.05, day=0.03, clocks=0.5, moving=0.3)
EVER = 10**12


def readings(log):
    for record in log:
        for metric, values in record.pack.metrics.items():
            for at, value in zip(record.pack.at, values, strict=True):
                yield record.pack.tenant, record.pack.device, metric, record.pack.pane + at, value


def test_a_log_holds_readings_that_are_late_by_hours_and_a_day_and_wrong_clocks_inside_the_bounds():
    log = [record for seed in range(5) for record in random_log(seed, SHAPE, with_pulses=False)]
    late = [record.log_time - record.pack.pane - record.pack.at[-1] for record in log]
    assert min(late) >= -SHAPE.ahead_ms
    assert min(late) < -PANE_MS
    assert any(HOUR_MS < one < 12 * HOUR_MS for one in late)
    assert any(one > 20 * HOUR_MS for one in late)


def test_a_log_starts_where_it_is_told_to():
    log = random_log(1, LogShape(seconds=20, start_ms=START_MS + HOUR_MS))
    assert min(record.pack.pane for record in log) == START_MS + HOUR_MS


@pytest.mark.parametrize("seed", range(5))
def test_shuffling_and_delaying_changes_no_row(seed):
    log = random_log(seed, SHAPE)
    other = shuffled(seed, log, 24 * HOUR_MS)
    assert fold_readings(readings(other)) == fold_readings(readings(log))
    assert sorted(map(repr, (r.pack for r in other))) == sorted(map(repr, (r.pack for r in log)))
    assert [r.pack for r in other] != [r.pack for r in log]
    late = [r for r in other if r.log_time > r.pack.pane + PANE_MS + SHAPE.horizon_ms]
    assert len(late) > len(other) / 5
    offsets = defaultdict(list)
    for record in other:
        offsets[record.partition].append((record.offset, record.log_time))
    for places in offsets.values():
        assert [offset for offset, _ in places] == list(range(len(places)))
        assert places == sorted(places)


def test_the_reference_without_a_horizon_is_the_plain_fold():
    log = random_log(1, SHAPE, with_pulses=False)
    reference = Reference(EVER)
    for record in log:
        reference.take(record)
    plain = fold_readings(readings(log))
    assert {key: row.count for key, row in reference.rows().items()} == {key: row.count for key, row in plain.items()}
