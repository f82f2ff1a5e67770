"""When a row differs for good: its count lies outside of what the raw store had, and has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.raw.panes import Held
from headwater.workers.closing import cause, differences
from headwater.workers.stored import Stored


@pytest.mark.parametrize(
    ("held", "least", "now", "expected"),
    [
        (None, 3, (3, 3.0), "missing"),
        ((0, 0.0), 3, (3, 3.0), "missing"),
        ((2, 2.0), 3, (3, 3.0), "fewer"),
        ((4, 4.0), 3, (3, 3.0), "more"),
        ((3, 9.0), 3, (3, 3.0), "changed"),
        ((3, 3.0), 3, None, "unfounded"),
        # A correction was on its way at the first look, or is at the second.
        (None, 0, (2, 2.0), ""),
        ((3, 3.0), 3, (5, 5.0), ""),
        ((4, 4.0), 3, (5, 5.0), ""),
        ((3, 3.0), 3, (3, 3.0), ""),
        (None, 0, None, ""),
        ((0, 0.0), 0, None, ""),
    ],
)
def test_causes(held, least, now, expected):
    stored = Stored(*held, sum_sq=float(held[0])) if held else None
    assert cause(stored, least, Held(*now, as_of=0) if now else None) == expected


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50), st.randoms())
def test_the_order_of_additions_is_no_difference_and_a_changed_value_is(values, dice):
    key = ("t", "d", "m", 0)
    other = sorted(values, key=lambda _: dice.random())
    squares = sum(value * value for value in values)
    stored = {key: Stored(len(values), sum(values), squares)}
    assert differences(stored, {key: Held(len(values), sum(other), 0)}) == set()
    assert differences(stored, {key: Held(len(values), sum(values) + 1e4, 0)}) == {key}
    assert differences(stored, {key: Held(len(values) + 1, sum(values), 0)}) == {key}
    assert differences({}, {key: Held(1, 0.0, 0)}) == {key}
    assert differences({key: Stored(0, 0.0, 0.0)}, {}) == set()
    assert differences(stored, {}) == {key}
