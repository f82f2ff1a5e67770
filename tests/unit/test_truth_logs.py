from collections import defaultdict

import pytest

from headwater.model.pack import PANE_MS
from headwater.truth.logs import START_MS, LogShape, Stamp, cut, random_log

SHAPE = LogShape(seconds=30)


@pytest.mark.parametrize("seed", range(5))
def test_every_pack_keeps_the_contract(seed):
    for record in random_log(seed, SHAPE):
        pack = record.pack
        assert pack.at == sorted(set(pack.at))
        assert 0 <= pack.at[0] <= pack.at[-1] < PANE_MS
        assert len(pack.at) <= SHAPE.cap
        assert all(len(values) == len(pack.at) for values in (*pack.metrics.values(), *pack.texts.values()))
        assert list(pack.metrics) == sorted(pack.metrics)


def test_a_log_is_repeatable_by_its_seed():
    assert random_log(3, SHAPE) == random_log(3, SHAPE)
    assert random_log(3, SHAPE) != random_log(4, SHAPE)


def test_log_time_never_falls_within_a_partition_and_offsets_have_no_gap():
    last, offsets = defaultdict(int), defaultdict(int)
    for record in random_log(1, SHAPE):
        assert record.log_time >= last[record.partition]
        assert record.offset == offsets[record.partition]
        last[record.partition] = record.log_time
        offsets[record.partition] += 1


def test_a_stamp_keeps_its_metric_set_in_every_copy():
    sets = {}
    for record in random_log(2, SHAPE):
        for at in record.pack.at:
            key = (record.pack.tenant, record.pack.device, record.pack.pane + at)
            assert sets.setdefault(key, tuple(record.pack.metrics)) == tuple(record.pack.metrics)


def test_a_message_is_cut_by_metric_set_pane_and_cap():
    stamps = [Stamp(START_MS + ms, (("a", 1.0),)) for ms in (9_998, 9_999, 10_000, 10_001, 10_002)]
    stamps.append(Stamp(START_MS + 10_003, (("a", 1.0), ("b", 2.0))))
    packs = list(cut("t", "d", stamps, 2, 0))
    assert [(pack.pane - START_MS, pack.at, list(pack.metrics)) for pack in packs] == [
        (0, [9_998, 9_999], ["a"]),
        (PANE_MS, [0, 1], ["a"]),
        (PANE_MS, [2], ["a"]),
        (PANE_MS, [3], ["a", "b"]),
    ]
