"""A pattern as files: what is refused, with a message per field, and what a test and a job are made of."""

import json

import pytest
from typer.testing import CliRunner

from headwater.cli import sql_queries
from headwater.cli.sql import app
from headwater.model.errors import BadRequest, NotFound
from headwater.model.settings import JobSettings, project_folder
from headwater.sql import deployed, keeping, kinds, tables, trial
from headwater.sql.pattern import Pattern
from headwater.sql.session import Row
from headwater.sql.split import statements

STALL = "rise-then-stall"
QUERY = """
select
    tenant, device, metric, started as `start`, ended as event_time, known as log_time, v as `value`,
    cast(null as double) as level
from readings_in_order
match_recognize (
    partition by tenant, device, metric
    order by appended, ts
    measures a.ts as started, b.ts as ended, b.log_time as known, b.`value` as v
    pattern (a b) within interval '1' minute
    define b as b.`value` > a.`value`
)
"""
READING = {"device": "d", "metric": "m", "ts": 1000, "value": 1}
MATCH = {"device": "d", "metric": "m", "start": 1000, "event_time": 2000}


def promise(**other):
    given = {
        "description": "d",
        "owner": "o",
        "grain": "g",
        "severity": "minor",
        "inputs": ["m"],
        "clear_ms": 60_000,
        "given": [READING],
        "expected": [MATCH],
    }
    return {**given, **other}


def one(query=QUERY, name="a-pattern", **other):
    return Pattern.checked(name, query, promise(**other))


def refusal(**given):
    with pytest.raises(BadRequest) as caught:
        one(**given)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("name", Pattern.names())
def test_the_patterns_that_come_with_it_are_whole(name):
    found = Pattern.load(name)
    assert found.given
    assert found.expected


def test_every_wrong_field_has_a_line_of_its_own():
    said = refusal(owner="", severity="bad", clear_ms=0, unit="volt")
    assert [line.partition(":")[0] for line in said] == ["owner", "severity", "clear_ms", "unit"]
    assert "expected one of indeterminate, warning, minor, major, critical, got 'bad'" in said[1]
    assert "expected a whole number from 1000 to" in said[2]
    assert "not a field of a pattern" in said[3]


@pytest.mark.parametrize("name", ["", "9lives", "Name", "a b", "a'b", "x" * 65])
def test_a_name_that_is_none_is_refused(name):
    assert refusal(name=name)[0].startswith("name: expected 3 to 64 of a-z")


def test_a_pattern_without_a_bound_or_without_a_pattern_is_refused():
    assert "expected `within interval …`" in refusal(query=QUERY.replace(" within interval '1' minute", ""))[0]
    assert "expected match_recognize over readings_in_order" in refusal(query="select 1 as tenant")[0]


def test_rows_that_are_none_are_named_by_their_number():
    said = refusal(
        given=[{**READING, "ts": 1.5}, {**READING, "value": "hot"}, {"device": "d"}, {**READING, "log": 1}],
        expected=[{**MATCH, "start": -1}],
    )
    assert said == [
        "given, row 1: expected epoch ms in ts, got 1.5",
        "given, row 2: expected a number in value, got 'hot'",
        "given, row 3: expected metric, ts, value, it has none",
        "given, row 4: expected columns of tenant, device, metric, ts, value, log_time, got log",
        "expected, row 1: expected epoch ms in start, got -1",
    ]


def test_readings_of_a_test_come_in_the_order_of_the_log():
    said = refusal(given=[{**READING, "log_time": 5000}, {**READING, "log_time": 4000}])
    assert said == ["given, row 2: expected a log_time not before that of the row before, got 4000"]


def test_a_reading_without_a_log_time_comes_when_it_is_measured_or_with_the_one_before():
    [text] = one(given=[READING, {**READING, "log_time": 9000}, {**READING, "ts": 2000}]).given_statements()
    assert "to_timestamp_ltz(cast(array[1000, 9000, 9000][place] as bigint), 3)" in text
    assert "'fields.place.end' = '3'" in text


def test_quotes_in_given_rows_stay_quotes():
    [text] = one(inputs=["it's"], given=[{**READING, "metric": "it's"}]).given_statements()
    assert "array['it''s'][place]" in text


def row(start=1000, event_time=2000):
    return Row("INSERT", ["test", "d", "m", start, event_time, event_time, 1.0, None])


def test_each_match_that_differs_is_a_line():
    pattern = one(expected=[MATCH, {**MATCH, "start": 5000, "event_time": 6000}])
    found = pattern.held([row(event_time=2500), row(start=7000)], list(Pattern.gives))
    assert trial.differences(pattern, found) == [
        "d, m from 1000: expected event_time 2000, got 2500",
        "d, m from 5000: expected event_time 6000, got no row",
        "d, m from 7000: expected no row, got event_time 2000",
    ]


def test_a_column_that_the_query_does_not_give_is_named():
    said = one().explained("From line 9, column 1 to line 9, column 5: Column 'level' not found in any table")
    assert said.endswith("level is missing")


def test_the_job_of_a_pattern_is_complete_and_reads_its_inputs_alone():
    settings = JobSettings(_env_file=None)
    held = deployed.of(one(inputs=["m", "o'clock"]))
    held.from_ms, held.first_pane = held.as_query().starts(held.run, settings, 1_790_000_012_345)
    held.revision = 2
    statements = keeping.job_statements(settings, held)
    assert not [text for text in statements if "${" in text]
    whole = "\n".join(statements)
    assert "metric in ('m', 'o''clock')" in whole
    assert "'scan.startup.timestamp-millis' = '1790000012345'" in whole
    assert "'properties.group.id' = 'headwater-pattern-a-pattern'" in whole
    assert "key 'rule' value 'pattern:a-pattern'" in whole
    assert "key 'version' value 3" in whole
    assert "key 'severity' value 'minor'" in whole


def test_a_job_that_has_lost_its_state_reads_again_from_where_it_was_deployed():
    settings = JobSettings(_env_file=None)
    held = deployed.of(one())
    held.from_ms = 5
    assert held.as_query().starts(held.run, settings, 1_790_000_000_000) == (5, 0)


def test_a_record_is_sound_for_a_pattern_if_it_is_for_every_job():
    text = tables.statement("analysis/slices", JobSettings(_env_file=None), tables.start(None))
    assert "'expected at strictly ascending, each in [0, 10000)'" in text
    assert "'expected as many numbers in each metric as offsets in at'" in text
    assert "${" not in text


def test_another_severity_makes_other_alerts_and_another_owner_or_time_does_not():
    before = deployed.of(one())
    assert deployed.of(one(owner="other")).digest == before.digest
    assert deployed.of(one(clear_ms=5000)).digest == before.digest
    assert deployed.of(one(severity="major")).digest != before.digest


def test_what_was_deployed_is_the_same_query_when_it_is_read_again():
    pattern = one()
    assert deployed.of(pattern).as_query().made_of == pattern.made_of


def test_metrics_and_patterns_are_found_by_name_and_a_name_is_of_one_of_them(tmp_path, monkeypatch):
    assert kinds.load("rise-then-stall").kind == "pattern"
    assert kinds.load("computed_power_watt").kind == "metric"
    with pytest.raises(NotFound, match=r"sql/metrics/ has .*; sql/patterns/ has rise-then-stall"):
        kinds.load("nothing")
    for kind in kinds.KINDS.values():
        monkeypatch.setattr(kind, "folder", str(tmp_path))
    (tmp_path / "twice.sql").write_text(QUERY)
    with pytest.raises(BadRequest, match="twice as metric and as pattern"):
        kinds.load("twice")


def test_the_docs_show_the_pattern_as_it_is():
    page = (project_folder() / "docs/sql.md").read_text()
    shown = page.partition(f"-- {STALL}.sql\n")[2].partition("```")[0]
    assert statements(shown)[1].split() == Pattern.load(STALL).query.split()


def test_the_list_shows_metrics_and_patterns_with_their_kind_and_how_they_are(monkeypatch):
    failed = deployed.of(kinds.load(STALL))
    failed.state, failed.why = "failed", "ArithmeticException: / by zero"
    monkeypatch.setattr(sql_queries.State, "load", lambda: None)
    monkeypatch.setattr(sql_queries.deployed, "all_of", lambda _: [failed])
    said = CliRunner().invoke(app, ["list", "--json"])
    assert said.exit_code == 0, said.output
    found = {one["name"]: one for one in json.loads(said.output)}
    assert found.keys() == kinds.files().keys()
    assert found["computed_power_watt"]["kind"] == "metric"
    assert found["computed_power_watt"]["state"] == "not deployed"
    pattern = found[STALL]
    assert (pattern["kind"], pattern["state"], pattern["severity"]) == ("pattern", "failed", "warning")
    shown = CliRunner().invoke(app, ["list"])
    assert "rise-then-stall: ArithmeticException: / by zero" in shown.output


@pytest.mark.parametrize("command", ["test", "deploy"])
def test_a_mistyped_name_is_told_before_anything_is_started(monkeypatch, command):
    monkeypatch.setattr(sql_queries.State, "load", lambda: None)
    monkeypatch.setattr(sql_queries, "ensure_gateway", lambda _: pytest.fail("it takes ten seconds to start"))
    said = CliRunner().invoke(app, [command, "rise-then-stal"])
    assert said.exit_code == 1, said.output
    assert "expected the name of a metric or a pattern, got 'rise-then-stal'" in " ".join(said.output.split())
