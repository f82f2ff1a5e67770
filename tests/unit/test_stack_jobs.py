"""From where a job goes on."""

import os
from pathlib import Path

import pytest

from headwater.model.settings import JobSettings
from headwater.stack import snapshots, submit
from headwater.stack.jobs import choose_start
from headwater.stack.snapshots import Snapshot
from headwater.stack.state import State
from headwater.stack.submit import Record, plan_digest

NOW = 1_760_000_000_000
PLAN = "the plan"
JOB = "ab" * 16


@pytest.fixture
def settings():
    return JobSettings(_env_file=None)


def snapshot(age_ms, name="chk-7", job=JOB):
    return Snapshot(Path("/state") / job / name, job, NOW - age_ms)


def start(found, settings, runs=None, bad=()):
    record = Record("aggregation", runs={JOB: PLAN} if runs is None else runs, bad=list(bad))
    return choose_start(record, found, settings, PLAN, NOW).options


def test_a_job_that_never_ran_starts_at_the_beginning(settings):
    assert start([], settings) == ()


def test_a_job_goes_on_from_its_newest_snapshot(settings):
    assert start([snapshot(5_000), snapshot(15_000, "chk-6")], settings) == (
        "--savepoint",
        f"file:///state/{JOB}/chk-7",
    )


def test_a_snapshot_that_could_not_be_restored_is_passed_over(settings):
    found = [snapshot(5_000), snapshot(15_000, "chk-6")]
    assert start(found, settings, bad=[str(found[0].path)])[1].endswith("chk-6")


def test_after_an_outage_that_is_too_long_the_job_is_rewound_with_empty_state(settings):
    old = snapshot(settings.outage_ms + 1)
    name, value = start([old], settings)
    assert name == "--start-from-ms"
    open_panes_ms = settings.horizon_ms + 10_000 + settings.ahead_ms
    assert int(value) <= old.taken_ms - open_panes_ms
    assert start([snapshot(settings.outage_ms)], settings)[0] == "--savepoint"


def test_a_changed_plan_is_rewound_and_not_restored(settings):
    assert start([snapshot(5_000)], settings, runs={JOB: "another plan"})[0] == "--start-from-ms"


def test_a_job_of_the_new_plan_without_a_snapshot_is_rewound_again_and_not_restored_from_the_old_plan(settings):
    runs = {JOB: "another plan", "cd" * 16: PLAN}
    assert start([snapshot(5_000)], settings, runs=runs)[0] == "--start-from-ms"


def test_if_no_snapshot_can_be_restored_the_job_is_rewound(settings):
    only = snapshot(5_000)
    assert start([only], settings, bad=[str(only.path)])[0] == "--start-from-ms"


def test_a_plan_changes_with_what_it_is_generated_from_and_not_with_addresses(settings):
    base = plan_digest("aggregation", settings)
    same = settings.model_copy(update={"parallelism": 1, "kafka": "elsewhere:9092"})
    other = settings.model_copy(update={"pack_cap": settings.pack_cap - 1})
    assert plan_digest("aggregation", same) == base
    assert plan_digest("aggregation", other) != base


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
    with submit.record(state, "aggregation") as known:
        known.runs[JOB] = PLAN
    with pytest.raises(RuntimeError), submit.record(state, "aggregation") as known:  # noqa: PT012  # the block is it
        known.wanted = False
        raise RuntimeError
    with submit.record(state, "aggregation") as known:
        assert (known.runs, known.wanted) == ({JOB: PLAN}, True)
