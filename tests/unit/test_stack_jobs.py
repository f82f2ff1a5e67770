"""From where a job goes on."""

import os
from pathlib import Path

import pytest

from headwater.model.errors import NotFound
from headwater.model.settings import JobSettings
from headwater.stack import snapshots
from headwater.stack.carried import CarriedKeeper, holds_old_code
from headwater.stack.jobs import discarded
from headwater.stack.plans import plan_digest, planned
from headwater.stack.record import DISCARDED, Rebuild, Record, names, peek, record, save
from headwater.stack.rewind import has_caught_up, plan_rewind
from headwater.stack.rewound import choose_start
from headwater.stack.snapshots import Snapshot
from headwater.stack.state import State

NOW = 1_760_000_000_000
PLAN = "the plan"
JOB = "ab" * 16


@pytest.fixture
def settings():
    return JobSettings(_env_file=None)


def snapshot(age_ms, name="chk-7", job=JOB):
    return Snapshot(Path("/state") / job / name, job, NOW - age_ms)


def start(found, settings, runs=None, **given):
    known = Record("aggregation", runs={JOB: PLAN} if runs is None else runs, **given)
    return choose_start(known, found, settings, PLAN, NOW)


def test_a_job_that_never_ran_starts_at_the_beginning(settings):
    chosen = start([], settings, runs={})
    assert (chosen.snapshot, chosen.rewound) == (None, False)


def test_a_job_goes_on_from_its_newest_snapshot(settings):
    found = [snapshot(5_000), snapshot(15_000, "chk-6")]
    assert start(found, settings).snapshot.uri == f"file:///state/{JOB}/chk-7"


def test_a_snapshot_that_could_not_be_restored_is_passed_over(settings):
    found = [snapshot(5_000), snapshot(15_000, "chk-6")]
    assert start(found, settings, bad=[str(found[0].path)]).snapshot == found[1]
    chosen = start(found[:1], settings, bad=[str(found[0].path)])
    assert (chosen.rewound, chosen.changed) == (True, False)


def test_after_an_outage_that_is_too_long_the_job_is_rewound_with_empty_state(settings):
    chosen = start([snapshot(settings.outage_ms + 1)], settings)
    assert (chosen.snapshot, chosen.rewound, chosen.changed) == (None, True, False)
    assert start([snapshot(settings.outage_ms)], settings).snapshot is not None


def test_a_changed_plan_is_rewound_to_a_higher_generation_and_not_restored(settings):
    chosen = start([snapshot(5_000)], settings, runs={JOB: "another plan"})
    assert (chosen.snapshot, chosen.rewound, chosen.changed) == (None, True, True)


def test_a_job_of_the_new_plan_without_a_snapshot_is_rewound_again_in_the_generation_that_it_has(settings):
    runs = {JOB: "another plan", "cd" * 16: PLAN}
    chosen = start([snapshot(5_000)], settings, runs=runs)
    assert (chosen.snapshot, chosen.rewound, chosen.changed) == (None, True, False)


def test_what_a_rebuild_discards_is_not_gone_on_from(settings):
    chosen = start([snapshot(5_000)], settings, runs={JOB: DISCARDED})
    assert (chosen.snapshot, chosen.rewound, chosen.changed) == (None, True, False)
    assert start([snapshot(5_000)], settings, runs={JOB: DISCARDED}, raise_next=True).changed


class FakeLog:
    """A log of two partitions whose offsets are its log times."""

    def __init__(self, first=0, end=NOW):
        self.first, self.end, self.begun = first, end, None

    def ends(self, topic="raw-sensor-data"):
        return {0: self.end, 1: self.end} if topic == "raw-sensor-data" else {0: 7}

    def newest(self):
        return self.end

    def from_time(self, log_time):
        start = max(self.first, log_time)
        return {0: start, 1: start}, 0 < self.first == start

    def commit(self, offsets):
        self.begun = offsets


def test_a_rewind_begins_where_every_open_pane_may_have_begun(settings):
    known, log = Record("aggregation"), FakeLog()
    rebuild = plan_rewind(known, log, settings, NOW, changed=False)
    oldest_open = NOW - settings.horizon_ms - 10_000
    assert rebuild.from_ms == oldest_open - settings.ahead_ms
    assert oldest_open <= rebuild.from_pane < oldest_open + 10_000
    assert log.begun == {0: rebuild.from_ms, 1: rebuild.from_ms}
    assert (known.generations, rebuild.raised) == ([], 0)


def test_it_has_caught_up_when_a_checkpoint_follows_the_one_that_had_read_both_topics(settings):
    rebuild = plan_rewind(Record("aggregation"), FakeLog(), settings, NOW, changed=False)
    for raw, registry in (({0: NOW, 1: NOW - 1}, {0: 7}), ({0: NOW, 1: NOW}, {0: 6}), ({0: NOW, 1: NOW}, {})):
        assert not has_caught_up(rebuild, raw, registry)
        assert rebuild.passed == {}
    reached = {0: NOW + 3, 1: NOW}
    for _ in range(3):  # looked at again before the next checkpoint
        assert not has_caught_up(rebuild, reached, {0: 9})
    assert has_caught_up(rebuild, {0: NOW + 3, 1: NOW + 1}, {0: 9})


def test_a_changed_query_raises_the_generation_of_the_panes_that_are_open_and_of_no_other(settings):
    known, log = Record("aggregation"), FakeLog()
    first = plan_rewind(known, log, settings, NOW, changed=True)
    assert known.generations == [(0, 1), (first.from_pane, 1_000)]
    known.rebuild = None
    second = plan_rewind(known, log, settings, NOW + 300_000, changed=True)
    assert known.generations == [(0, 1), (first.from_pane, 1_000), (second.from_pane, 2_000)]
    known.rebuild = None
    third = plan_rewind(known, log, settings, NOW + 3_600_000, changed=True)
    assert known.generations == [(second.from_pane, 2_000), (third.from_pane, 3_000)]


def test_a_rebuild_that_has_not_caught_up_is_gone_on_with_from_where_it_began(settings):
    known, log = Record("aggregation"), FakeLog()
    first = plan_rewind(known, log, settings, NOW, changed=True)
    again = plan_rewind(known, log, settings, NOW - 300_000, changed=False)
    assert (again.from_ms, again.from_pane, again.raised) == (first.from_ms, first.from_pane, 1_000)
    # Its rows may be less than whole: a second change takes over all of them.
    other = plan_rewind(known, log, settings, NOW + 60_000, changed=True)
    assert (other.from_ms, other.raised) == (first.from_ms, 2_000)
    assert known.generations == [(0, 1), (first.from_pane, 2_000)]


def test_panes_whose_readings_the_log_no_longer_holds_are_not_taken_over(settings):
    known, log = Record("aggregation"), FakeLog(first=NOW - 1_000)
    assert plan_rewind(known, log, settings, NOW, changed=True).from_pane >= NOW + settings.ahead_ms


def test_a_plan_changes_with_what_it_is_generated_from_and_not_with_addresses(settings):
    base = plan_digest("aggregation", settings)
    same = settings.model_copy(update={"parallelism": 1, "kafka": "elsewhere:9092", "checkpoint_s": 30})
    other = settings.model_copy(update={"pack_cap": settings.pack_cap - 1})
    assert plan_digest("aggregation", same) == base
    assert plan_digest("aggregation", other) != base


def test_a_plan_is_made_from_what_its_job_names_and_from_nothing_of_another_job():
    files = {job: {path.name for path in planned(job)} for job in ("aggregation", "alerting")}
    assert {"aggregation.py", "environment.py", "statements.py", "seen.sql", "late_packs.sql"} <= files["aggregation"]
    assert {"registry.sql", "placed_stamps.sql", "fleet_pieces.sql"} <= files["aggregation"]
    assert {"alerting.py", "judge.py", "control.sql", "alert_events.sql"} <= files["alerting"]
    assert not files["aggregation"] & {"judge.py", "control.sql", "alerts.sql"}
    with pytest.raises(NotFound, match=r"one of aggregation, alerting, enrichment.* got 'agregation'"):
        planned("agregation")


def carried(runs, found, named, reached=None):
    made = CarriedKeeper(None, "mine", JobSettings(_env_file=None), named)
    made.log.reached = lambda: reached
    return made.choose(Record("mine", runs=runs), found, PLAN)


def test_a_job_with_named_state_goes_on_whatever_has_changed_and_however_long_it_was_away():
    found = [snapshot(86_400_000)]
    assert carried({JOB: PLAN}, found, named=True).options == ("--savepoint", found[0].uri)
    changed = carried({JOB: "another plan"}, found, named=True)
    assert changed.options[:2] == ("--savepoint", found[0].uri)
    assert "execution.state-recovery.ignore-unclaimed-state=true" in changed.options
    assert carried({JOB: DISCARDED}, found, named=True).options == ()
    assert carried({}, [], named=True).options == ()


def test_a_rebuild_forgets_all_that_a_job_remembers_also_under_another_plan():
    runs = {JOB: "another plan", "cd" * 16: PLAN}
    assert discarded(runs, PLAN, generations=True) == {JOB: "another plan", "cd" * 16: DISCARDED}
    assert set(discarded(runs, PLAN, generations=False).values()) == {DISCARDED}
    assert carried(discarded(runs, PLAN, generations=False), [snapshot(5_000)], named=True).options == ()


def test_a_job_without_names_goes_on_under_its_own_plan_and_else_where_it_has_read_to():
    found = [snapshot(5_000)]
    assert carried({JOB: PLAN}, found, named=False).snapshot == found[0]
    assert carried({JOB: "another plan"}, found, named=False, reached=77).options == ("--start-from-ms", "77")


def test_a_worker_that_has_loaded_older_modules_is_found():
    known = Record("alerting", code="a", submitted_ms=NOW)
    assert holds_old_code(known, "b", NOW - 60_000)
    assert not holds_old_code(known, "a", NOW - 60_000)
    assert not holds_old_code(known, "b", NOW + 1_000)
    assert not holds_old_code(Record("alerting"), "b", NOW)


def test_the_jobs_that_are_kept_are_those_that_run_anyway_and_those_that_were_started(tmp_path):
    state = State.open(tmp_path, {"HEADWATER_PORTS": "free"})
    with record(state, "enrichment") as known:
        assert not known.wanted
    assert names(state) == ["aggregation", "alerting", "enrichment"]
    assert peek(state, "alerting").wanted


def test_only_completed_snapshots_count_newest_first(tmp_path):
    state = State.open(tmp_path, {"HEADWATER_PORTS": "free"})
    base = tmp_path / "flink"
    for number, name in enumerate(
        (f"checkpoints/{JOB}/chk-1", f"checkpoints/{JOB}/chk-2", f"savepoints/savepoint-{JOB[:6]}-1234")
    ):
        folder = base / name
        folder.mkdir(parents=True)
        if "chk-2" not in name:
            (folder / "_metadata").touch()
            os.utime(folder / "_metadata", (1_000 + number, 1_000 + number))
    assert [one.path.name for one in snapshots.of_jobs(state, [JOB])] == [f"savepoint-{JOB[:6]}-1234", "chk-1"]
    snapshots.forget(state, [JOB])
    assert snapshots.of_jobs(state, [JOB]) == []


def test_what_is_known_of_a_job_is_written_at_the_end_of_the_block_and_not_after_an_error(tmp_path):
    state = State.open(tmp_path, {"HEADWATER_PORTS": "free"})
    with record(state, "aggregation") as known:
        known.runs[JOB] = PLAN
    with pytest.raises(RuntimeError), record(state, "aggregation") as known:  # noqa: PT012  # the block is it
        known.wanted = False
        raise RuntimeError
    with record(state, "aggregation") as known:
        assert (known.runs, known.wanted) == ({JOB: PLAN}, True)


def test_a_rebuild_is_remembered_also_when_the_process_dies_before_the_end_of_the_block(tmp_path):
    state = State.open(tmp_path, {"HEADWATER_PORTS": "free"})
    begun = Rebuild(5, 10_000, {"0": 7}, 1_000)
    with pytest.raises(RuntimeError), record(state, "aggregation") as known:  # noqa: PT012  # the block is it
        known.rebuild, known.generations = begun, [(10_000, 1_000)]
        save(state, known)
        raise RuntimeError
    with record(state, "aggregation") as known:
        assert (known.rebuild, known.generations, known.generation) == (begun, [(10_000, 1_000)], 1_000)
    state.remember(generation=1_000)
    assert "HEADWATER_GENERATION=1000\n" in (tmp_path / "run.env").read_text()
    assert State.load(tmp_path).generation == 1_000
