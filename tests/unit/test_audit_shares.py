"""Shares of the devices: every device is of one share, and none but the last device makes a share too large."""

from hypothesis import given
from hypothesis import strategies as st

from headwater.truth.shares import EVERYTHING, shares_of

DEVICES = st.dictionaries(st.text(max_size=5), st.integers(1, 50), max_size=30)


@given(DEVICES, st.integers(1, 120), st.text(max_size=5))
def test_each_device_is_of_one_share_and_shares_are_as_large_as_was_asked(records, most, stranger):
    shares = shares_of(records, most)
    for device in (*records, stranger):
        assert [share.has(device) for share in shares].count(True) == 1
    held = [[count for device, count in records.items() if share.has(device)] for share in shares]
    assert all(sum(one) <= most or len(one) == 1 for one in held)
    # None is smaller than it need be: with the first device of the next it would be too large.
    firsts = [records[share.first] for share in shares[1:]]
    assert all(sum(one) + first > most for one, first in zip(held, firsts, strict=False))


def test_everything_is_one_share():
    assert shares_of({}, 5) == [EVERYTHING]
    assert shares_of({"a": 3, "b": 2}, 5) == [EVERYTHING]
    assert [share.first for share in shares_of({"a": 3, "b": 2, "ü": 9}, 4)] == ["", "b", "ü"]
