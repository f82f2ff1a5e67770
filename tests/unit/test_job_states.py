"""When a job is said to fail: not while it comes back, and as long as it only runs for a moment in between; and why."""

from headwater.stack.job_states import CALM_S, PATIENCE_S, Seen
from headwater.stack.trace import causes

RUNNING, STARTING = ("running", ""), ("starting", "")


def test_a_job_that_comes_up_is_starting_and_then_running():
    seen = Seen()
    assert seen.state(False, "", 0) == STARTING
    assert seen.state(False, "", PATIENCE_S + 1) == STARTING
    assert seen.state(True, "", 30) == STARTING
    assert seen.state(True, "", 30 + CALM_S) == RUNNING


def test_a_job_that_was_always_up_is_running_at_once():
    assert Seen().state(True, "", 0) == RUNNING


def test_a_job_that_is_away_for_a_moment_is_never_called_failing():
    seen = Seen()
    assert seen.state(True, "", 0) == RUNNING
    assert seen.state(False, "TaskManager lost", 2) == STARTING
    assert seen.state(True, "", PATIENCE_S) == STARTING
    assert seen.state(True, "", PATIENCE_S + CALM_S) == RUNNING


def test_a_job_that_fails_again_and_again_is_failing_though_it_runs_in_between():
    seen = Seen()
    assert seen.state(False, "no topic", 0) == STARTING
    for at in range(0, 60, 4):
        said = {seen.state(True, "", at), seen.state(False, "no topic", at + 2)}
        assert said == {("failing", "no topic")} or at + 2 < PATIENCE_S + 4
    assert seen.state(True, "", 60) == ("failing", "no topic")
    assert seen.state(True, "", 60 + CALM_S) == RUNNING


TRACE = """org.apache.flink.util.FlinkException: Global failure triggered by OperatorCoordinator.
\tat org.apache.flink.runtime.operators.coordination.OperatorCoordinatorHolder.lambda$failJob$0(Holder.java:600)
Caused by: org.apache.flink.util.FlinkRuntimeException: Failed to list subscribed topic partitions due to
\tat org.apache.flink.connector.kafka.source.enumerator.KafkaSourceEnumerator.checkPartitionChanges(Enumerator.java:250)
Caused by: java.lang.RuntimeException: Failed to get metadata for topics [nowhere-raw-sensor-data].
\tat org.apache.flink.connector.kafka.source.enumerator.subscriber.Utils.getTopicMetadata(Utils.java:50)
Caused by: java.util.concurrent.ExecutionException: kafka.UnknownTopicException: This server does not host it.
\t... 3 more
Caused by: kafka.UnknownTopicException: This server does not host it.
"""


def test_why_a_job_fails_is_what_all_causes_say_each_once():
    assert causes(TRACE) == (
        "Failed to list subscribed topic partitions due to: "
        "Failed to get metadata for topics [nowhere-raw-sensor-data]: "
        "kafka.UnknownTopicException: This server does not host it"
    )
    assert causes("java.lang.ArithmeticException: / by zero\n\tat x") == "ArithmeticException: / by zero"
