import pytest

from headwater.model.pack import Pack
from headwater.model.rule import Equals, Range, Rate, Scope, Silence, Step, Subject, Threshold
from headwater.rules.book import Book, Rules
from headwater.rules.item import Slice, Tick, slices
from headwater.rules.state import State
from headwater.rules.step import step
from tests.unit.rules_logs import log, rule, run, told

HOT = Threshold(metric="m", above=80.0, clear=75.0)


def test_a_reading_above_the_level_raises_and_one_at_the_clear_level_clears():
    events = run(log((1, 80.0), (2, 80.5), (3, 75.1), (4, 75.0)), rule(HOT))
    assert told(events) == [("raised", "warning", 2, 2), ("cleared", "warning", 4, 2)]
    assert [(event.value, event.level) for event in events] == [(80.5, 80.0), (75.0, 75.0)]
    assert events[0].alert_id == events[1].alert_id


def test_below_is_the_mirror():
    events = run(log((1, 10.0), (2, 9.0), (3, 11.0), (4, 12.0)), rule(Threshold(metric="m", below=10.0, clear=12.0)))
    assert told(events) == [("raised", "warning", 2, 2), ("cleared", "warning", 4, 2)]


def test_without_a_clear_level_the_level_itself_clears():
    events = run(log((1, 81.0), (2, 80.0)), rule(Threshold(metric="m", above=80.0)))
    assert [event.happened for event in events] == ["raised", "cleared"]


def test_what_must_last_is_raised_by_the_reading_that_makes_it_last():
    held = rule(Threshold(metric="m", above=80.0, clear=75.0, hold_ms=10))
    assert told(run(log((1, 81.0), (10, 82.0), (11, 83.0)), held)) == [("raised", "warning", 11, 1)]


def test_a_dip_below_the_level_breaks_the_hold_even_above_the_clear_level():
    held = rule(Threshold(metric="m", above=80.0, clear=75.0, hold_ms=10))
    assert told(run(log((1, 81.0), (9, 79.0), (11, 83.0), (21, 83.0)), held)) == [("raised", "warning", 21, 11)]


def test_an_episode_escalates_eases_and_clears_under_one_id():
    steps = rule(
        Threshold(metric="m", above=80.0, clear=75.0, escalate=[Step(severity="critical", level=95.0, clear=90.0)])
    )
    events = run(log((1, 81.0), (2, 96.0), (3, 91.0), (4, 90.0), (5, 74.0)), steps)
    assert told(events) == [
        ("raised", "warning", 1, 1),
        ("escalated", "critical", 2, 1),
        ("deescalated", "warning", 4, 1),
        ("cleared", "warning", 5, 1),
    ]
    assert len({event.alert_id for event in events}) == 1


def test_a_jump_beyond_all_levels_is_raised_at_the_highest_and_cleared_at_once():
    steps = rule(Threshold(metric="m", above=80.0, escalate=[Step(severity="critical", level=95.0)]))
    assert told(run(log((1, 99.0), (2, 0.0)), steps)) == [("raised", "critical", 1, 1), ("cleared", "critical", 2, 1)]


def test_outside_a_range_clears_a_margin_within_it():
    outside = rule(Range(metric="m", low=10.0, high=20.0, margin=1.0))
    events = run(log((1, 20.0), (2, 21.0), (3, 19.5), (4, 19.0), (5, 9.0), (6, 10.5), (7, 11.0)), outside)
    assert [(event.happened, event.event_time, event.level) for event in events] == [
        ("raised", 2, 20.0),
        ("cleared", 4, 19.0),
        ("raised", 5, 10.0),
        ("cleared", 7, 11.0),
    ]


def test_inside_a_range_clears_a_margin_beyond_it():
    inside = rule(Range(metric="m", low=10.0, high=20.0, margin=1.0, when="inside"))
    events = run(log((1, 9.0), (2, 10.0), (3, 9.5), (4, 8.9)), inside)
    assert told(events) == [("raised", "warning", 2, 2), ("cleared", "warning", 4, 2)]


@pytest.mark.parametrize(("value", "other"), [("open", "shut"), (True, False), (1.0, 2.0)])
def test_states_of_every_kind_are_compared(value, other):
    events = run(log((1, other), (2, value), (3, other)), rule(Equals(metric="m", values=[value])))
    assert [(event.happened, event.event_time, event.value) for event in events] == [
        ("raised", 2, value),
        ("cleared", 3, other),
    ]


def test_true_is_not_one_and_a_text_is_no_number():
    items = log((1, True), (2, "1"))
    assert run(items, rule(Equals(metric="m", values=[1.0]))) == []
    assert run(items, rule(Threshold(metric="m", above=0.0))) == []


def test_a_rate_is_per_unit_of_event_time_and_signed():
    falling = rule(Rate(metric="m", below=-1.0, per_ms=1_000))
    events = run(log((1_000, 10.0), (3_000, 8.0), (4_000, 6.5), (5_000, 6.0)), falling)
    assert [(event.happened, event.event_time, event.value) for event in events] == [
        ("raised", 4_000, -1.5),
        ("cleared", 5_000, -0.5),
    ]


def test_readings_too_close_together_are_not_compared():
    rising = rule(Rate(metric="m", above=1.0, over_ms=1_000))
    assert run(log((0, 0.0), (10, 5.0), (1_000, 1.0)), rising) == []


def test_a_silent_metric_is_raised_after_its_pause_and_cleared_when_it_is_heard():
    silent = rule(Silence(metric="m", for_ms=1_000))
    items = [*log((50, 1.0, 1_000)), *log((60, 1.0, 1_500), metric="other"), *log((70, 1.0, 2_001))]
    events = run(items, silent, until=3_001)
    assert [(e.happened, e.why, e.event_time, e.start, e.log_time) for e in events] == [
        ("raised", "silence", 2_000, 1_000, 2_000),
        ("cleared", "reading", 70, 1_000, 2_001),
    ]


def test_a_pause_of_just_the_length_is_no_silence():
    items = log((1, 1.0, 1_000), (2, 1.0, 2_000))
    assert run(items, rule(Silence(metric="m", for_ms=1_000)), until=3_000) == []


def test_a_device_is_heard_through_any_metric():
    silent = rule(Silence(for_ms=1_000))
    items = [*log((1, 1.0, 1_000)), *log((2, "x", 1_900), metric="other")]
    assert [(e.log_time, e.metric) for e in run(items, silent, until=9_999)] == [(2_900, "")]


def test_wake_is_the_first_log_time_at_which_a_tick_says_something():
    book, state = Book(0), State()
    book.add(rule(Silence(for_ms=1_000)), 0)
    rules = Rules(book, "demo", "d")
    events, wake = step(rules, state, log((1, 1.0, 1_000))[0])
    assert (events, wake) == ([], 2_001)
    assert step(rules, state, Tick(2_000)) == ([], 2_001)
    events, wake = step(rules, state, Tick(2_001))
    assert [event.happened for event in events] == ["raised"]
    assert wake is None
    assert state.open


def test_a_late_reading_and_a_copy_are_passed_over_by_level_and_heard_by_silence():
    items = log((10, 70.0, 1_000), (5, 99.0, 1_500), (10, 99.0, 1_600))
    assert run(items, rule(HOT)) == []
    assert run(items, rule(Silence(metric="m", for_ms=1_000)), until=2_600) == []


def test_a_rule_counts_from_its_append_and_the_delay_on():
    items = log((1, 99.0, 1_499), (2, 99.0, 1_500))
    assert told(run(items, (1_000, rule(HOT)), delay_ms=500)) == [("raised", "warning", 2, 2)]


def test_an_edited_level_clears_the_episode_and_judges_anew():
    items = log((1, 85.0, 100), (2, 85.0, 300), (3, 95.0, 400))
    harder = rule(Threshold(metric="m", above=90.0), version=2)
    events = run(items, rule(HOT), (200, harder))
    assert [(e.happened, e.why, e.log_time, e.version) for e in events] == [
        ("raised", "reading", 100, 1),
        ("cleared", "rule-changed", 200, 1),
        ("raised", "reading", 400, 2),
    ]


def test_an_edited_text_lets_the_episode_go_on():
    items = log((1, 85.0, 100), (2, 70.0, 300))
    events = run(items, rule(HOT), (200, rule(HOT, version=2, text="look at the fan")))
    assert [(e.happened, e.version) for e in events] == [("raised", 1), ("cleared", 2)]


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        ({"enabled": False}, "rule-disabled"),
        ({"deleted": True}, "rule-deleted"),
        ({"scope": Scope(site="x")}, "out-of-scope"),
    ],
)
def test_a_rule_that_no_longer_counts_clears_its_episodes_and_leaves_nothing_behind(edit, why):
    book, state = Book(0), State()
    book.add(rule(HOT), 0)
    book.add(rule(Silence(for_ms=5_000), name="s"), 0)
    rules = Rules(book, "demo", "d")
    step(rules, state, log((1, 85.0, 100))[0])
    book.add(rule(HOT, version=2, **edit), 200)
    book.add(rule(Silence(for_ms=5_000), name="s", version=2, **edit), 200)
    events, wake = step(rules, state, Tick(900))
    assert [(e.happened, e.why, e.log_time) for e in events] == [("cleared", why, 200)]
    assert wake is None
    assert state.empty


def test_a_silence_goes_on_under_an_edited_rule():
    items = log((1, 1.0, 1_000))
    edits = [(0, rule(Silence(for_ms=1_000))), (3_000, rule(Silence(for_ms=1_500), version=2))]
    assert [(e.happened, e.log_time, e.start) for e in run(items, *edits, until=9_000)] == [
        ("raised", 2_000, 1_000),
        ("cleared", 3_000, 1_000),
        ("raised", 3_000, 3_000),
    ]


def test_a_version_published_again_changes_nothing():
    book = Book(0)
    assert book.add(rule(HOT), 100)
    assert not book.add(rule(HOT), 900)
    assert book.add(rule(HOT, version=3, deleted=True), 1_000)
    assert not book.add(rule(HOT, version=2), 1_100)
    assert book.changes == [100, 1_000]


@pytest.mark.parametrize(
    "scope",
    [Scope(site="berlin"), Scope(model="x1"), Scope(tag="roof"), Scope(device="d"), Scope(site="berlin", tag="roof")],
)
def test_a_scope_means_devices_that_match_all_of_it(scope):
    known = Subject(device="d", site="berlin", model="x1", tags=("roof",))
    other = Subject(device="e", site="bonn", model="x2")
    items = log((1, 99.0))
    assert len(run(items, rule(HOT, scope=scope), subjects=[known])) == 1
    assert run(items, rule(HOT, scope=scope), subjects=[other]) == []


def test_a_device_that_moves_leaves_the_episode_of_its_old_site_behind():
    berlin, bonn = Subject(device="d", site="berlin"), Subject(device="d", site="bonn", since=200)
    items = log((1, 99.0, 100), (2, 99.0, 300))
    events = run(
        items, rule(HOT, scope=Scope(site="berlin")), rule(HOT, "b", scope=Scope(site="bonn")), subjects=[berlin, bonn]
    )
    assert [(e.rule, e.happened, e.why, e.log_time) for e in events] == [
        ("r", "raised", "reading", 100),
        ("r", "cleared", "out-of-scope", 200),
        ("b", "raised", "reading", 300),
    ]


def test_a_deleted_device_is_meant_by_no_rule():
    items = log((1, 99.0, 100))
    events = run(items, rule(HOT), subjects=[Subject(device="d", since=200, gone=True)], until=300)
    assert [event.why for event in events] == ["reading", "out-of-scope"]


def test_a_pack_becomes_a_slice_a_metric_with_event_times():
    pack = Pack(
        v=1,
        tenant="t",
        device="d",
        pane=10_000,
        at=[1, 5],
        metrics={"b": [1.0, 2.0], "a": [3.0, 4.0]},
        flags={"on": [True, False]},
        received=7,
    )
    assert slices(pack, 99) == [
        Slice("a", [10_001, 10_005], [3.0, 4.0], 99, 7),
        Slice("b", [10_001, 10_005], [1.0, 2.0], 99, 7),
        Slice("on", [10_001, 10_005], [True, False], 99, 7),
    ]
