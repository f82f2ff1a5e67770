"""Laws of the evaluator for random logs, each beside a control that breaks it."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.model.rule import Equals, Range, Rate, Silence, Step, Subject, Threshold
from headwater.rules import judge, step
from headwater.rules.book import Book, Rules
from headwater.rules.item import Slice, Tick
from headwater.rules.state import State
from tests.unit import rules_logs
from tests.unit.rules_logs import by_hand, log, naive, rule, run, told

VALUES = st.integers(0, 12).map(float)
HOLDS = st.sampled_from([0, 0, 3, 7])
few = settings(max_examples=60)


@st.composite
def crossing(draw, kind=Threshold):
    low, mid, high = sorted(draw(st.lists(st.integers(1, 11), min_size=3, max_size=3, unique=True)))
    top = draw(st.integers(high, 12))
    more = {"hold_ms": draw(HOLDS)}
    if kind is Rate:
        more |= {"per_ms": draw(st.sampled_from([1, 5])), "over_ms": draw(st.sampled_from([0, 4]))}
    if draw(st.booleans()):
        steps = [Step(severity="critical", level=top + 1.0, clear=float(high))]
        more["escalate"] = steps if draw(st.booleans()) else []
        return kind(metric="m", above=float(mid), clear=float(low), **more)
    steps = [Step(severity="major", level=low - 1.0)]
    more["escalate"] = steps if draw(st.booleans()) else []
    return kind(metric="m", below=float(mid), clear=float(high), **more)


@st.composite
def ranges(draw):
    low, high = sorted(draw(st.lists(st.integers(1, 11), min_size=2, max_size=2, unique=True)))
    side = draw(st.sampled_from(["inside", "outside"]))
    margin = draw(st.sampled_from([0.0, (high - low) / 2]))
    return Range(metric="m", low=low, high=high, when=side, margin=margin, hold_ms=draw(HOLDS))


silences = st.builds(Silence, metric=st.sampled_from(["", "m"]), for_ms=st.sampled_from([1_000, 1_500]))
equals = st.builds(Equals, metric=st.just("m"), values=st.lists(VALUES, min_size=1, max_size=5), hold_ms=HOLDS)
conditions = st.one_of(crossing(), crossing(Rate), ranges(), equals, silences)


@st.composite
def logs(draw, metrics=("m", "n")):
    """Slices of one device in log order; some event times go back, some records are copies."""
    items, log_time, clock = [], 10_000, 1_000
    for _ in range(draw(st.integers(1, 12))):
        log_time += draw(st.sampled_from([0, 1, 400, 999, 1_000, 1_001, 1_501]))
        clock += draw(st.sampled_from([1, 2, 5, -6]))
        count = draw(st.integers(1, 4))
        ts = [clock + gap for gap in sorted(draw(st.sets(st.integers(0, 9), min_size=count, max_size=count)))]
        values = draw(st.lists(VALUES, min_size=count, max_size=count))
        items.append(Slice(draw(st.sampled_from(metrics)), ts, values, log_time))
        clock = ts[-1]
    return items


@st.composite
def edits(draw):
    """Versions of two rules, at log times that lie in the log."""
    found = []
    for name in ("a", "b"):
        at = draw(st.sampled_from([0, 0, 10_500]))
        for version in range(1, draw(st.integers(1, 4)) + 1):
            how = draw(st.sampled_from([{}, {}, {}, {"enabled": False}, {"deleted": True}, {"text": "x"}]))
            found.append((at, rule(draw(conditions), name, version, **how)))
            at += draw(st.integers(0, 2_500))
    return sorted(found, key=lambda one: one[0])


moves = st.lists(st.integers(10_000, 14_000), max_size=2, unique=True).map(
    lambda times: [Subject(device="d", since=at, gone=bool(n % 2 == 0)) for n, at in enumerate(sorted(times))]
)


@few
@given(conditions, logs())
def test_the_evaluator_says_what_the_definition_says(when, items):
    one, until = rule(when), items[-1].log_time + 2_000
    watched = items if isinstance(when, Silence) else [item for item in items if item.metric == "m"]
    assert told(run(items, one, until=until)) == naive(watched, one, until)


@pytest.mark.parametrize("broken", ["kept", "reached"])
def test_control_without_hysteresis_or_with_a_hold_that_a_dip_does_not_break_the_definition_is_missed(
    monkeypatch, broken
):
    one = rule(Threshold(metric="m", above=8.0, clear=5.0, hold_ms=2))
    items = log((1, 9.0), (2, 7.0), (3, 9.0), (5, 9.0), (6, 7.0), (7, 5.0))
    assert told(run(items, one)) == naive(items, one, 0)
    other = {"kept": "reached", "reached": "kept"}[broken]
    monkeypatch.setattr(judge._Crossing, broken, getattr(judge._Crossing, other))
    assert told(run(items, one)) != naive(items, one, 0)


@few
@given(edits(), logs(), moves)
def test_a_slice_is_the_same_as_its_readings_one_by_one(rules, items, subjects):
    singles = [
        Slice(item.metric, [ts], [value], item.log_time)
        for item in items
        for ts, value in zip(item.ts, item.values, strict=True)
    ]
    assert by_hand(singles, rules, subjects=subjects) == by_hand(items, rules, subjects=subjects)


@few
@given(edits(), logs(), moves)
def test_a_restart_between_any_two_items_changes_nothing(rules, items, subjects):
    assert by_hand(items, rules, resume=True, subjects=subjects) == by_hand(items, rules, subjects=subjects)


def test_control_a_restart_that_forgets_is_found(monkeypatch):
    rules, items = [(0, rule(Threshold(metric="m", above=8.0)))], log((1, 9.0), (2, 9.0))
    assert by_hand(items, rules, resume=True) == by_hand(items, rules)
    monkeypatch.setattr(rules_logs, "load", lambda _: State())
    assert by_hand(items, rules, resume=True) != by_hand(items, rules)


@few
@given(edits(), logs(), moves, st.lists(st.integers(9_000, 30_000), max_size=12))
def test_ticks_change_nothing_but_how_early_it_is_known(rules, items, subjects, ticks):
    end = Tick(40_000)
    mixed: list = sorted([*items, *map(Tick, ticks)], key=lambda item: item.log_time)
    assert by_hand([*mixed, end], rules, subjects=subjects) == by_hand([*items, end], rules, subjects=subjects)


def test_control_a_silence_of_the_time_when_it_is_asked_for_is_found(monkeypatch):
    rules, items = [(0, rule(Silence(for_ms=1_000)))], [*log((1, 9.0)), Tick(5_000)]
    ticked = [items[0], Tick(3_000), items[1]]
    assert by_hand(ticked, rules) == by_hand(items, rules)
    once = step._overdue

    def late(rules, state, until):
        return [msgspec.structs.replace(event, log_time=until) for event in once(rules, state, until)]

    monkeypatch.setattr(step, "_overdue", late)
    assert by_hand(ticked, rules) != by_hand(items, rules)


@few
@given(edits(), logs(), moves)
def test_every_episode_is_raised_once_and_cleared_at_most_once_under_an_id_of_its_own(rules, items, subjects):
    open_now: set[str] = set()
    for event in by_hand([*items, Tick(40_000)], rules, subjects=subjects):
        if event.happened == "raised":
            assert event.alert_id not in open_now
            open_now.add(event.alert_id)
        else:
            assert event.alert_id in open_now
            if event.happened == "cleared":
                open_now.remove(event.alert_id)


@few
@given(edits(), logs())
def test_nothing_is_remembered_of_rules_that_are_gone(rules, items):
    book = Book(0)
    last = {one.rule: one.version for _, one in rules}
    gone = [(50_000, rule(Silence(for_ms=1_000), name, version + 1, deleted=True)) for name, version in last.items()]
    for at, one in [*rules, *gone]:
        book.add(one, at)
    view, state = Rules(book, "demo", "d"), State()
    for item in [*items, Tick(60_000)]:
        step.step(view, state, item)
    assert state.empty
