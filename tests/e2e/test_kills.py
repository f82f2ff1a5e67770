"""Processes killed under load of all three jobs: what the broker acknowledged counts once, and the comparison tells."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.e2e.visiting import Stack

TARGETS = ("bridge", "broker", "kafka", "taskmanager", "postgres", "valkey", "sink-postgres", "sink-valkey")


def trial(stack: Stack, *words: str) -> tuple[int, dict[str, object]]:
    """Runs `headwater chaos` against the stack; returns its exit code and what it found."""
    done = subprocess.run(
        [sys.executable, "-m", "headwater.cli", "chaos", *words],
        env=os.environ | {"HEADWATER_STATE": str(stack.folder)},
        capture_output=True,
        text=True,
        timeout=1_500,
        check=False,
    )
    begin = done.stdout.find("{")
    assert begin >= 0, f"the trial itself failed:\n{done.stdout}\n{done.stderr}"
    return done.returncode, json.loads(done.stdout[begin:])


@pytest.fixture
def enriching(stack: Stack) -> Iterator[Stack]:
    """With the job that is off unless it is started; a stack that had it before keeps it."""
    had = any(
        job["name"] == "enrichment" and job["state"] == "RUNNING"
        for job in json.loads(stack.call("jobs", "list", "--json"))
    )
    stack.call("jobs", "start", "enrichment", timeout=240)
    yield stack
    if not had:
        stack.call("jobs", "stop", "enrichment", "--no-savepoint")


@pytest.mark.timeout(2_400)
def test_every_acknowledged_reading_is_counted_once_whichever_process_is_killed(enriching):
    targets = (word for target in TARGETS for word in ("--target", target))
    code, found = trial(enriching, "--seed", "11", "--rounds", "1", "--in-turn", "--old-every", "0", *targets)
    assert found["readings"] > 1_000
    assert found["kills"] == dict.fromkeys(TARGETS, 1)
    assert found["alert_events"] > 50
    assert found["enriched"] > 500
    assert (found["enriched_missing"], found["enriched_wrong"]) == (0, 0), found
    assert code == 0, found


def test_the_trial_fails_when_a_row_is_taken_away(stack):
    code, found = trial(stack, "--seed", "12", "--devices", "5", "--rounds", "0", "--control")
    assert code == 1
    assert found["missing"] == 1
