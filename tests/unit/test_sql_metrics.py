"""A metric as files: what is refused, with a message per field, and what a test and a job are made of."""

import pytest

from headwater.model.errors import BadRequest, NotFound
from headwater.model.settings import JobSettings
from headwater.sql import deployed, keeping, metric, trial
from headwater.sql.metric import Metric
from headwater.sql.session import Row

QUERY = "select tenant, device, pane, `last` as `value`, `count` as n, generation, as_of, received from panes"
ROW = {"device": "a", "metric": "m", "pane": 0}
COLUMNS = list(metric.COLUMNS)


def promise(**other):
    given = {
        "description": "d",
        "owner": "o",
        "unit": "u",
        "grain": "g",
        "inputs": ["m"],
        "given": [ROW],
        "expected": [{"device": "a", "pane": 0, "value": 0}],
    }
    return {**given, **other}


def refusal(query=QUERY, name="a_metric", **other):
    with pytest.raises(BadRequest) as caught:
        Metric.checked(name, query, promise(**other))
    return str(caught.value).splitlines()


@pytest.mark.parametrize("name", Metric.names())
def test_the_metrics_that_come_with_it_are_whole(name):
    one = Metric.load(name)
    assert one.given
    assert one.expected


def test_every_wrong_field_has_a_line_of_its_own():
    said = refusal(owner="", inputs=[], window_ms=-1, unitt="x")
    assert [line.partition(":")[0] for line in said] == ["owner", "inputs", "window_ms", "unitt", "given"]
    assert "expected a text, got ''" in said[0]
    assert "expected a whole number from 0 to" in said[2]


@pytest.mark.parametrize("name", ["", "9lives", "Name", "a b", "a'b", "x" * 65])
def test_a_name_that_is_none_is_refused(name):
    assert refusal(name=name)[0].startswith("name: expected 3 to 64 of a-z")


@pytest.mark.parametrize("query", ["", "insert into t select 1", "select 1; select 2", "drop table panes"])
def test_a_query_is_one_select(query):
    assert "expected one select over panes" in refusal(query)[0]


def test_rows_that_are_none_are_named_by_their_number():
    said = refusal(given=[ROW, {**ROW, "pane": 5}, {"device": "a", "metric": "m"}, {**ROW, "summ": 1, "sum": "two"}])
    assert said == [
        "given, row 2: expected a pane that is a multiple of 10000, got 5",
        "given, row 3: expected pane, it has none",
        f"given, row 4: expected columns of {', '.join(metric.PANE_COLUMNS)}, got summ",
        "given, row 4: expected a number in sum, got 'two'",
    ]


def test_a_metric_is_not_made_of_itself_nor_of_what_it_does_not_name():
    assert "would be made of itself" in refusal(inputs=["m", "a_metric"])[0]
    assert refusal(given=[{**ROW, "metric": "other"}]) == ["given: expected rows of m, got other: name it in inputs"]


def test_yaml_that_is_none_is_said_to_be(tmp_path):
    (tmp_path / "a_metric.sql").write_text(QUERY)
    with pytest.raises(NotFound, match=r"a_metric\.yml"):
        Metric.load("a_metric", tmp_path)
    (tmp_path / "a_metric.yml").write_text("given: [")
    with pytest.raises(BadRequest, match="expected YAML"):
        Metric.load("a_metric", tmp_path)
    (tmp_path / "a_metric.yml").write_text("- 1")
    with pytest.raises(BadRequest, match="expected fields such as description"):
        Metric.load("a_metric", tmp_path)


def one(**other):
    return Metric.checked("a_metric", QUERY, promise(**other))


def test_given_rows_are_one_source_in_their_order_and_quotes_stay_quotes():
    [text] = one(given=[{**ROW, "device": "it's", "count": 2, "sum": 5}, ROW]).given_statements()
    assert "('test', 'it''s', 'm', 0, 1, 2, 5.00000000000000000e+00, 1.25" in text
    assert text.index("it''s") < text.index("'a'")


def row(kind="INSERT", device="a", value=1.0, n=1, generation=1, as_of=0):
    return Row(kind, ["test", device, 0, value, n, generation, as_of, 0])


def test_what_is_compared_is_what_a_sink_would_hold():
    rows = [
        row(value=1.0, n=2),
        row("UPDATE_BEFORE", value=1.0, n=2),
        row("UPDATE_AFTER", value=2.0, n=3),
        row(value=9.0, n=2),  # lower
        row("DELETE", value=2.0, n=3),  # cannot be taken back
        row(device="b", value=None),
    ]
    held = one().held(rows, COLUMNS)
    assert {key: each["value"] for key, each in held.items()} == {("test", "a", 0): 2.0}
    assert one().held([*rows, row(value=9.0, n=1, generation=2)], COLUMNS)["test", "a", 0]["value"] == 9.0


def test_each_difference_is_a_line():
    expected = [{"device": "a", "pane": 0, "value": 1.0, "n": 2}, {"device": "c", "pane": 0, "value": 1.0}]
    found = one().held([row(value=1.0 + 1e-12), row(device="b", value=3.0)], COLUMNS)
    assert trial.differences(one(expected=expected), found) == [
        "a at pane 0: expected n 2, got 1",
        "c at pane 0: expected value 1.0, got no row",
        "b at pane 0: expected no row, got value 3.0",
    ]


def test_a_column_that_the_query_does_not_give_is_named():
    said = one().explained("From line 9, column 1 to line 9, column 5: Column 'as_of' not found in any table")
    assert "expected the columns tenant, device, pane, value" in said
    assert said.endswith("as_of is missing")


def started(query, settings):
    held = deployed.of(query)
    held.from_ms, held.first_pane = query.starts(held.run, settings, 1_790_000_012_345)
    return held


def test_the_job_of_a_metric_is_complete_and_reads_its_inputs_alone():
    settings = JobSettings(_env_file=None)
    held = started(one(inputs=["m", "o'clock"], given=[ROW]), settings)
    held.revision = 3
    statements = keeping.job_statements(settings, held)
    assert not [text for text in statements if "${" in text]
    whole = "\n".join(statements)
    assert "metric in ('m', 'o''clock')" in whole
    assert "cast(generation + 3 as int)" in whole
    assert f"pane >= {held.first_pane}" in whole
    assert "'properties.group.id' = 'headwater-metric-a_metric'" in whole
    assert f"'scan.startup.timestamp-millis' = '{held.from_ms}'" in whole


def test_a_job_with_empty_state_reads_all_that_its_first_rows_look_back_on():
    settings = JobSettings(_env_file=None)
    held = started(one(window_ms=3_600_000), settings)
    assert held.first_pane % 10_000 == 0
    assert held.first_pane <= 1_790_000_012_345 - settings.horizon_ms
    assert held.from_ms <= held.first_pane - 3_600_000


def test_only_functions_that_a_query_names_start_a_python():
    assert one().function_statements() == []
    query = QUERY.replace("`last`", "convert_unit(`last`, 'bar', 'psi')")
    assert len(Metric.checked("a_metric", query, promise()).function_statements()) == 1


def test_a_changed_query_is_another_one_and_a_changed_owner_is_not():
    before = deployed.of(one())
    assert deployed.of(one(owner="other")).digest == before.digest
    assert deployed.of(one(window_ms=1)).digest != before.digest


@pytest.mark.parametrize(
    ("trace", "why"),
    [
        (
            "org.apache.flink.runtime.JobException: Recovery is suppressed\n\tat org.apache.flink.runtime.taskexecutor."
            "TaskExecutor.run(T.java)\nCaused by: java.lang.ArithmeticException: / by zero\n\tat StreamExecCalc$1.x(y)",
            "ArithmeticException: / by zero",
        ),
        ("a.B: x\nCaused by: org.apache.kafka.common.errors.TimeoutException: no broker\n\tat a.b(c)", ""),
        ("x.y.NoResourceAvailableException: Could not acquire the minimum required resources.\n\tat a.b(c)", ""),
        (
            "java.util.concurrent.TimeoutException: Heartbeat of TaskManager with id a timed out.\n\tat a.b(c)",
            "",
        ),
        ("x: y\nCaused by: java.io.IOException: No space left on device\n\tat a.b(c)", ""),
        ("x: y\nCaused by: java.lang.OutOfMemoryError: Java heap space\n\tat a.b(c)", ""),
        *(
            (
                f"a.B: x\nCaused by: java.lang.NumberFormatException: For input string: '{word}'\n\tat a.b(c)",
                f"For input string: '{word}'",
            )
            for word in ("disk_free", "heartbeat", "OutOfMemory", "No space")
        ),
        ("", "no reason is known"),
    ],
)
def test_a_query_that_fails_is_told_from_a_machine_that_does(trace, why):
    assert keeping.its_fault(trace) == why
