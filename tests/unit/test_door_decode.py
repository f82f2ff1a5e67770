import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.doors.cut import Arrival
from connectors.doors.decode import Decoded, decode
from connectors.doors.limits import Limits, name_allowed
from headwater.model import codec
from headwater.model.pack import PANE_MS, REASONS, Pack, pane_of

NOW = 1_700_000_003_000
LIMITS = Limits(
    ahead_ms=300_000,
    oldest_ms=86_400_000,
    max_bytes=100_000,
    max_readings=1_000,
    max_metrics=20,
    max_text=50,
    pack_cap=4,
)


def decoded(payload, last_ms=0, limits=LIMITS) -> Decoded:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return decode(data, Arrival("demo", "a", NOW, last_ms), limits)


def readings(packs: list[Pack]) -> dict:
    """(metric, ts) -> value, and a proof that none came twice."""
    found: dict = {}
    for pack in packs:
        for columns in (pack.metrics, pack.texts, pack.flags):
            for name, values in columns.items():
                for at, value in zip(pack.at, values, strict=True):
                    assert (name, pack.pane + at) not in found
                    found[name, pack.pane + at] = value
    return found


def reasons(result: Decoded) -> dict[str, int]:
    return {refusal.reason: refusal.count for refusal in result.refusals}


def test_a_plain_object_is_a_reading_at_its_arrival():
    result = decoded({"temperature": 21.5})
    assert readings(result.packs) == {("temperature", NOW): 21.5}
    assert result.packs[0].received == NOW
    assert not result.refusals


def test_a_wrapped_object_keeps_its_stamp():
    assert readings(decoded({"ts": NOW - 5, "values": {"b": 2, "a": 1.5}}).packs) == {
        ("a", NOW - 5): 1.5,
        ("b", NOW - 5): 2.0,
    }


def test_numbers_texts_and_flags_travel_in_maps_of_their_own():
    (pack,) = decoded({"ts": NOW, "values": {"n": 1, "t": "on", "f": True}}).packs
    assert (pack.metrics, pack.texts, pack.flags) == ({"n": [1.0]}, {"t": ["on"]}, {"f": [True]})
    assert b'"n":[1.0]' in codec.encode(pack)


def test_columns_group_their_stamps_by_the_metrics_present():
    result = decoded({"ts": [NOW, NOW + 1, NOW + 2], "metrics": {"a": [1, 2, 3], "b": [None, 5, 6]}})
    assert [(pack.at, sorted(pack.metrics)) for pack in result.packs] == [
        ([3000], ["a"]),
        ([3001, 3002], ["a", "b"]),
    ]


def test_a_list_may_mix_all_forms():
    result = decoded(
        [{"a": 1}, {"ts": NOW - 9, "values": {"a": 2}}, {"ts": [NOW - 8], "metrics": {"a": [3]}}, {"a": 4}]
    )
    assert readings(result.packs) == {("a", NOW - 9): 2, ("a", NOW - 8): 3, ("a", NOW): 1, ("a", NOW + 1): 4}


def test_unstamped_readings_come_after_the_last_stamp_of_the_device():
    result = decoded({"a": 1}, last_ms=NOW + 40)
    assert readings(result.packs) == {("a", NOW + 41): 1}
    assert result.last_ms == NOW + 41


@pytest.mark.parametrize(
    "payload",
    [
        [{"ts": NOW, "values": {"a": 1}}, {"ts": NOW, "values": {"a": 2, "b": 3}}],
        {"ts": [NOW, NOW], "metrics": {"a": [1, 2], "b": [None, 3]}},
        b'{"ts":%d,"values":{"a":1,"b":3,"a":2}}' % NOW,
    ],
)
def test_of_a_repeated_reading_the_first_counts(payload):
    result = decoded(payload)
    assert readings(result.packs) == {("a", NOW): 1, ("b", NOW): 3}
    assert not result.refusals


def test_packs_are_cut_at_the_pane_and_at_the_cap():
    pane = pane_of(NOW)
    stamps = [pane + 9_999, *range(pane + 10_000, pane + 10_006)]
    result = decoded({"ts": stamps, "metrics": {"a": list(range(7))}})
    assert [(pack.pane - pane, pack.at) for pack in result.packs] == [
        (0, [9_999]),
        (10_000, [0, 1, 2, 3]),
        (10_000, [4, 5]),
    ]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"{", "bad-json"),
        (b"", "bad-json"),
        (b"\xff\xfe", "bad-json"),
        ('{"a":"\xe9"}'.encode("latin-1"), "bad-json"),
        (b"[" * 100_000, "bad-json"),
        ("5", "bad-shape"),
        ({}, "bad-shape"),
        ([], "bad-shape"),
        ([[{"a": 1}]], "bad-shape"),
        ({"ts": NOW}, "bad-shape"),
        ({"metrics": {"a": [1]}}, "bad-shape"),
        ({"ts": [NOW], "metrics": {"a": [1, 2]}}, "bad-shape"),
        ({"a": None}, "bad-type"),
        ({"a": {"b": 1}}, "bad-type"),
        ({"a": [1]}, "bad-type"),
        (b'{"a":"\\ud800"}', "bad-type"),
        (b'{"a":NaN}', "not-finite"),
        (b'{"a":Infinity}', "not-finite"),
        (b'{"a":-Infinity}', "not-finite"),
        (b'{"a":1e999}', "not-finite"),
        (b'{"a":-1e100}', "not-finite"),
        (b'{"a":1%s}' % (b"0" * 400), "not-finite"),
        (b'{"a":1%s}' % (b"0" * 5000), "not-finite"),
        ({"ts": "now", "values": {"a": 1}}, "bad-stamp"),
        ({"ts": 1.5, "values": {"a": 1}}, "bad-stamp"),
        ({"ts": True, "values": {"a": 1}}, "bad-stamp"),
        ({"ts": None, "values": {"a": 1}}, "bad-stamp"),
        (b'{"ts":NaN,"values":{"a":1}}', "bad-stamp"),
        (b'{"ts":1e999,"values":{"a":1}}', "bad-stamp"),
        ({"ts": -1, "values": {"a": 1}}, "too-old"),
        ({"ts": NOW - 86_400_001, "values": {"a": 1}}, "too-old"),
        ({"ts": NOW + 300_001, "values": {"a": 1}}, "too-new"),
        ({"a": "x" * 51}, "too-long"),
        ({"a\n": 1}, "bad-name"),
        ({"": 1}, "bad-name"),
        ({"x" * 129: 1}, "bad-name"),
        ({f"m{i}": 1 for i in range(21)}, "too-many-metrics"),
        ({"ts": [NOW] * 1001, "metrics": {"a": [1] * 1001}}, "too-many-readings"),
        (b" " * 100_001, "too-large"),
    ],
)
def test_what_is_not_taken_says_why(payload, reason):
    result = decoded(payload)
    assert reasons(result) == {reason: 1} or (reason in reasons(result) and len(result.refusals) == 1)
    assert not result.packs
    assert reason in REASONS


@pytest.mark.parametrize("stamp", [NOW + 300_000, NOW - 86_400_000, float(NOW)])
def test_a_stamp_on_the_edge_of_the_window_is_taken(stamp):
    assert readings(decoded({"ts": stamp, "values": {"a": 1}}).packs) == {("a", int(stamp)): 1}


def test_a_refusal_takes_nothing_good_with_it():
    result = decoded(
        b'[{"ts":%d,"values":{"a":1,"b":NaN,"c":null,"d\\u0000":1}},7,{"ts":"x","values":{"a":1,"b":2}},{"ts":%d,"values":{"a":2},"z":1}]'
        % (NOW, NOW + 1)
    )
    assert readings(result.packs) == {("a", NOW): 1, ("a", NOW + 1): 2}
    assert reasons(result) == {"not-finite": 1, "bad-type": 1, "bad-name": 1, "bad-shape": 2, "bad-stamp": 2}
    assert "'b'" in next(r.detail for r in result.refusals if r.reason == "not-finite")


def test_a_refused_stamp_does_not_move_the_clock_of_unstamped_readings():
    result = decoded([{"ts": NOW + 400_000, "values": {"a": 1}}, {"a": 2}])
    assert readings(result.packs) == {("a", NOW): 2}


def test_a_colon_inside_a_text_changes_nothing():
    assert readings(decoded({"a": "x:y:z", "b": 1}).packs) == {("a", NOW): "x:y:z", ("b", NOW): 1}


@pytest.mark.parametrize("name", ["", "_pulse", "a/b", "a+", "#", "a\x00", "x" * 129, "\ud800"])
def test_a_name_that_cannot_travel_is_not_allowed(name):
    assert not name_allowed(name)


values = st.one_of(st.floats(-1e99, 1e99), st.integers(-(2**53), 2**53), st.booleans(), st.text(max_size=5))
names = st.sampled_from(["a", "b", "c", "d"])
stamps = st.integers(NOW - 30_000, NOW + 30_000)
wrapped = st.fixed_dictionaries({"ts": stamps, "values": st.dictionaries(names, values, min_size=1)})


@st.composite
def columns(draw):
    ts = draw(st.lists(stamps, min_size=1, max_size=30))
    column = st.lists(st.one_of(st.none(), values), min_size=len(ts), max_size=len(ts))
    return {"ts": ts, "metrics": draw(st.dictionaries(names, column, min_size=1))}


def expected(items: list[dict]) -> dict:
    """The reference: every (metric, ts) once, the first counts."""
    found: dict = {}
    for item in items:
        if "values" in item:
            for name, value in item["values"].items():
                found.setdefault((name, item["ts"]), value)
        else:
            for index, ts in enumerate(item["ts"]):
                for name, column in item["metrics"].items():
                    if column[index] is not None:
                        found.setdefault((name, ts), column[index])
    return found


@given(st.lists(st.one_of(wrapped, columns()), min_size=1, max_size=8))
def test_every_message_of_good_readings_arrives_whole_and_in_form(items):
    result = decoded(items)
    want = expected(items)
    assert readings(result.packs) == want
    assert result.readings == len(want)
    assert not result.refusals
    for pack in result.packs:
        assert codec.decode(Pack, codec.encode(pack)) == pack
        assert pack.pane % PANE_MS == 0
        assert pack.at == sorted(set(pack.at))
        assert 0 <= pack.at[0] <= pack.at[-1] < PANE_MS
        assert len(pack.at) <= LIMITS.pack_cap
        for column in (pack.metrics, pack.texts, pack.flags):
            assert list(column) == sorted(column)
    starts = [pack.pane + pack.at[0] for pack in result.packs]
    assert starts == sorted(starts)


numbers = st.one_of(
    st.floats(-1e99, 1e99), st.integers(-(2**53), 2**53), st.sampled_from([math.nan, math.inf, 1e100, 10**400, True])
)
good_numbers = st.one_of(st.floats(-1e99, 1e99), st.integers(-(2**53), 2**53))


@st.composite
def whole(draw):
    """Columns as a well-behaved device sends them, or nearly."""
    ts = sorted(draw(st.lists(st.integers(NOW - 40_000, NOW + 301_000), min_size=1, max_size=30, unique=True)))
    value = draw(st.sampled_from([good_numbers, good_numbers, numbers]))
    column = st.lists(value, min_size=len(ts), max_size=len(ts))
    some_names = st.one_of(names, names, st.sampled_from(["x" * 128, "x" * 129, "a\x00", ""]))
    return {"ts": ts, "metrics": draw(st.dictionaries(some_names, column, min_size=1, max_size=5))}


@given(whole(), st.integers(NOW - 90_000_000, NOW + 400_000))
def test_the_short_way_of_whole_columns_gives_what_the_long_way_gives(message, last_ms):
    assert decoded(message, last_ms) == decoded([message], last_ms)


@given(st.integers(-1, 3), st.integers(-1, 3))
def test_both_ways_agree_at_the_edges_of_the_window_and_of_the_limits(old, new):
    message = {
        "ts": [NOW - LIMITS.oldest_ms - 1 + old, NOW + LIMITS.ahead_ms - 1 + new],
        "metrics": {f"m{number}": [1.5, 2] for number in range(19 + new)},
    }
    assert decoded(message) == decoded([message])


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(st.text(max_size=4), st.sampled_from(["ts", "values", "metrics"])), inner, max_size=4
        ),
    ),
    max_leaves=20,
)


@given(st.one_of(json_values.map(lambda v: json.dumps(v).encode()), st.binary(max_size=200)))
def test_no_message_makes_the_door_fall_over(payload):
    result = decoded(payload)
    for refusal in result.refusals:
        assert refusal.reason in REASONS
        assert refusal.count >= 1
        refusal.detail.encode()
    for value in readings(result.packs).values():
        assert not isinstance(value, float) or math.isfinite(value)
    for pack in result.packs:
        codec.encode(pack)
