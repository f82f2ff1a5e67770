"""Whom chaos hits: every program that runs with the stack, or those that are named."""

from pathlib import Path

import pytest

from headwater.model.errors import NotFound
from headwater.stack.state import State
from headwater.truth.victims import Victims


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State.open(tmp_path, {"HEADWATER_PORTS": "free"})


def test_without_names_all_are_hit_that_start_with_the_stack_and_carry_readings(state):
    names = Victims(state, ()).names
    assert {"broker", "kafka", "taskmanager", "sink-postgres", "corrections", "api", "jobs"} <= set(names)
    assert not {"agent", "fleet", "sql-gateway"} & set(names)


def test_what_is_named_is_hit_and_what_is_mistyped_is_refused(state):
    assert Victims(state, ("sql-gateway",)).names == ("sql-gateway",)
    with pytest.raises(NotFound, match=r"expected a program of the stack .*, got brocker"):
        Victims(state, ("brocker", "kafka"))
