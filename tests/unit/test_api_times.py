"""Times and levels of a series."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.state import times
from headwater.model.errors import BadRequest
from headwater.model.settings import ApiSettings, SinkSettings
from headwater.model.stores import LEVEL, LEVELS

NOON = 1_795_521_600_000
"""2026-11-24 12:00 UTC."""


@pytest.mark.parametrize(
    "text",
    [
        "1795521600000",
        "2026-11-24T12:00:00Z",
        "2026-11-24T12:00:00+00:00",
        "2026-11-24T13:00:00+01:00",
        "2026-11-24T13:00:00 01:00",
        "2026-11-24T12:00:00",
        "2026-11-24 12:00",
        " 2026-11-24T12:00:00.000Z ",
    ],
)
def test_one_moment_can_be_said_in_many_ways(text):
    assert times.parse(text, "from") == NOON


@pytest.mark.parametrize(
    "text", ["", "yesterday", "-5", "2026-13-01", "1e12", "9" * 18, "12:00", "0001-01-01T00:00:00Z"]
)
def test_what_is_no_time_is_refused_by_the_name_of_its_parameter(text):
    with pytest.raises(BadRequest, match="from") as refused:
        times.parse(text, "from")
    assert refused.value.field == "from"


def test_seconds_are_recognised_and_not_taken_for_1970():
    with pytest.raises(BadRequest, match="looks like seconds"):
        times.parse("1795521600", "from")


@given(
    st.integers(0, 2_000_000_000_000),
    st.integers(1, 400 * times.DAY_MS),
    st.integers(1, 2_000),
)
def test_auto_takes_the_finest_level_that_fits(start, span, points):
    fitting = [level for level in LEVELS if times.buckets(level, start, start + span) <= points]
    if not fitting:
        with pytest.raises(BadRequest, match="even at level 1d"):
            times.choose("auto", start, start + span, points, 2_000, {})
        return
    plan = times.choose("auto", start, start + span, points, 2_000, {})
    assert plan.level is fitting[0]
    assert plan.first_ms % plan.level.width_ms == 0
    assert plan.first_ms <= start < plan.first_ms + plan.level.width_ms


def test_buckets_that_are_touched_are_counted():
    ten = LEVEL["10s"]
    assert times.buckets(ten, NOON, NOON + 10_000) == 1
    assert times.buckets(ten, NOON + 1, NOON + 10_001) == 2
    assert times.buckets(ten, NOON + 9_999, NOON + 10_000) == 1


def test_auto_does_not_read_a_level_that_retention_has_emptied():
    hour = 3_600_000
    plan = times.choose("auto", NOON, NOON + hour, 2_000, 2_000, {"10s": NOON + 1, "1m": 0})
    assert plan.level.name == "1m"


def test_a_level_that_was_asked_for_is_refused_when_it_is_too_much():
    with pytest.raises(BadRequest, match="8640 at level 10s") as refused:
        times.choose("10s", NOON, NOON + times.DAY_MS, 100, 2_000, {})
    assert refused.value.field == "level"
    assert times.choose("1m", NOON, NOON + times.DAY_MS, 100, 2_000, {}).level.name == "1m"


def test_api_and_sink_agree_on_retention():
    for name in ("keep_10s_days", "keep_1m_days"):
        assert ApiSettings.model_fields[name].default == SinkSettings.model_fields[name].default
