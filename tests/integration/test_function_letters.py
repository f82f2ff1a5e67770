"""Dead letters of functions of SQL while Kafka is away: nobody waits, and what was not told is told when it is back."""

import base64
import json
import time

import pytest

from headwater.model.settings import Settings
from headwater.model.topics import DEAD_LETTER
from headwater.stack import jars, kafka
from headwater.stack.foreground import running
from headwater.stack.state import State
from headwater.stack.topics import create_all
from tests.integration.analysts import letters_of
from udfs.letters import PATIENCE_MS, Letters


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> State:
    """A broker that may be away, with its topics."""
    state = State.open(tmp_path_factory.mktemp("letters"), {"HEADWATER_PORTS": "free"})
    jars.ensure(state.folder, "kafka")
    kafka.prepare(state)
    with running(kafka.program(state), state.folder / "logs"):
        create_all(Settings(_env_file=None, kafka=state.url("kafka")))
    return state


def test_failures_that_nobody_could_be_told_of_are_counted_in_the_letter_that_comes_through(own):
    letters = Letters(own.url("kafka"), DEAD_LETTER.name, "metric:away")
    began = time.monotonic()
    for number in range(1_000):
        letters.failed("heat_index", ValueError("too hot"), [float(number)])
    letters.settle(0.5)
    assert time.monotonic() - began < 60, "a stream would have waited for Kafka, each time"
    time.sleep(PATIENCE_MS / 1_000 + 2)
    letters.failed("dew_point", ValueError("dry"), [2.0])
    with running(kafka.program(own), own.folder / "logs"):
        found = letters_of(own.url("kafka"), "metric:away", 1_001, seconds=90)
        letters.settle(30)
        assert not letters.running
    told = {json.loads(base64.b64decode(one.payload))["function"]: one for one in found}
    assert told.keys() == {"heat_index", "dew_point"}
    assert {one.reason for one in found} == {"udf-failed"}
    detail = told["heat_index"].detail
    assert detail.startswith("heat_index(0.0) gave null: ValueError: too hot; 1000 failures since the last letter")
    assert "did not reach Kafka" in detail
    assert json.loads(base64.b64decode(told["heat_index"].payload))["failures"] == 1_000
    assert told["dew_point"].detail.startswith("dew_point(2.0) gave null: ValueError: dry")
