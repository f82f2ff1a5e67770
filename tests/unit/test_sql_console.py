"""Analysts' SQL without a gateway: statements cut apart, errors cut short, tables that start where they are told."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.cli.sql_console import Console, Reading, limit_of, talk
from headwater.cli.sql_show import as_json, as_table
from headwater.clock import now_ms
from headwater.model.errors import BadRequest
from headwater.model.settings import JobSettings
from headwater.sql import deployed, kinds, tables
from headwater.sql.session import Answer, Row
from headwater.sql.split import statements
from headwater.stack.trace import innermost
from jobs import aggregation, alerting, enrichment
from udfs.registry import functions

TRACE = """<Exception on server side:
org.apache.flink.table.gateway.api.utils.SqlGatewayException: Failed to fetchResults.
\tat org.apache.flink.Some.thing(Some.java:1)
Caused by: org.apache.flink.table.api.ValidationException: SQL validation failed. From line 1, column 22 to line 1, \
column 28: Object 'nowhere' not found
\tat org.apache.flink.Some.thing(Some.java:1)
Caused by: org.apache.calcite.sql.validate.SqlValidatorException: Object 'nowhere' not found
\t... 40 more
"""


def test_a_script_is_cut_at_semicolons_outside_of_quotes_and_comments():
    script = "select 'a;b' as `c;d`; -- one; two\nselect 1 /* ; */ + 1;; select \"x;\" from t /*+ OPTIONS('a'='b') */"
    assert statements(script) == (
        ["select 'a;b' as `c;d`", "select 1   + 1"],
        "select \"x;\" from t /*+ OPTIONS('a'='b') */",
    )


def test_quotes_in_quotes_are_part_of_them():
    assert statements("select 'it''s; so';") == (["select 'it''s; so'"], "")


def test_what_is_open_is_the_rest():
    assert statements("select 'a; b") == ([], "select 'a; b")
    assert statements("select 1; /* not yet ;") == (["select 1"], "")


@given(st.text(alphabet="a;'\"`-/* \n", max_size=30))
def test_statements_that_were_cut_apart_are_cut_alike_again(script):
    whole, _ = statements(script)
    assert statements(";\n".join([*whole, ""])) == (whole, "")


def test_an_error_is_the_innermost_cause_that_names_a_place():
    assert innermost(TRACE) == "From line 1, column 22 to line 1, column 28: Object 'nowhere' not found"


def test_an_error_without_a_place_is_the_innermost_cause():
    text = "x.AException: outer\n\tat a.b(c)\nCaused by: java.lang.ArithmeticException: Division by zero\n\tat d.e(f)"
    assert innermost(text) == "ArithmeticException: Division by zero"
    assert innermost("Caused by: java.lang.NullPointerException\n\tat a.b(c)") == "NullPointerException: "


def test_what_is_no_trace_stays():
    assert innermost("  no   session ") == "no session"


def test_a_list_of_all_that_the_parser_would_take_is_left_out():
    text = 'Caused by: a.ParseException: Encountered "+" at line 1, column 10.\nWas expecting one of:\n    "AS" ...\n'
    assert innermost(text) == 'Encountered "+" at line 1, column 10.'


@pytest.mark.parametrize("start", ["earliest", "latest", "-15m", "2026-11-24T12:00:00Z", "1790000000000"])
@pytest.mark.parametrize("until", ["now", "never"])
def test_every_statement_of_a_session_is_complete_wherever_reading_starts(start, until):
    found = list(tables.opening(JobSettings(_env_file=None), Reading(start, until).begin()))
    assert len(found) == len(tables.sources()) + len(tables.views()) + len(functions())
    assert not [one for one in found if "${" in one]


def test_tables_start_where_they_are_told():
    settings = JobSettings(_env_file=None)
    latest = tables.statement("sources/raw_sensor_data", settings, Reading("latest").begin())
    assert "'scan.startup.mode' = 'latest-offset'," in latest
    at = tables.statement("analysis/panes_log", settings, Reading("1790000000000", "now").begin())
    assert "'scan.startup.timestamp-millis' = '1790000000000'," in at
    assert "'scan.bounded.mode' = 'latest-offset'," in at


def test_the_registry_starts_an_hour_before_the_log_and_ends_with_it():
    made = sources(Reading("1790000000000", "now"))
    assert "'scan.startup.timestamp-millis' = '1789996400000'," in made["device_registry"]
    latest = int(re.search(r"timestamp-millis' = '(\d+)'", sources(Reading("latest"))["device_registry"])[1])
    assert abs(now_ms() - 3_600_000 - latest) < 60_000


@pytest.mark.parametrize("until", ["now", "never"])
def test_every_table_can_be_read_and_ends_if_it_is_to_end(until):
    made = sources(Reading("1790000000000", until))
    del made["processed_data"]  # upsert-kafka: always whole, and never at an end
    del made["device_records"]  # has the options of alert_rules
    for name, text in made.items():
        assert ("'scan.bounded.mode' = 'latest-offset'," in text) == (until == "now"), name
        assert "'properties.group.id' = 'headwater-sql'," in text, name
        rules = name == "alert_rules"
        assert ("'scan.startup.mode' = 'earliest-offset'," if rules else "'scan.startup.mode' = 'timestamp',") in text


def sources(reading):
    settings = JobSettings(_env_file=None)
    names = [file.partition("/")[2] for file in tables.sources()]
    return dict(zip(names, tables.made(names, settings, reading.begin()), strict=True))


def test_every_file_is_known_to_a_session_or_left_out_for_a_reason():
    folder = Path(__file__).parents[2] / "sql"
    found = {
        f"{part}/{path.stem}" for part in ("sources", "views", "analysis") for path in (folder / part).glob("*.sql")
    }
    there = {*tables.sources(), *tables.views()}
    assert there | tables.LEFT_OUT.keys() == found
    assert not there & tables.LEFT_OUT.keys()
    assert all(len(why) > 10 for why in tables.LEFT_OUT.values())


def test_each_table_and_view_stands_behind_what_it_is_made_of():
    made = list(tables.known())
    for name in made:
        needed = tables.needed(name)
        assert needed[-1] == name
        assert all(needed.index(one) < needed.index(name) for one in needed[:-1])
    assert tables.needed("readings_in_order")[0] == "raw_sensor_data"


def test_every_table_and_view_of_our_own_is_in_the_docs():
    told = (Path(__file__).parents[2] / "docs/sql.md").read_text()
    steps = {"seen", "seen_before", "fresh", "masked_stamps", "masked_values"}  # on_time … pieces
    own = {name for job in (aggregation, alerting, enrichment) for name in (*job.TABLES, *job.VIEWS)}
    own |= {file.partition("/")[2] for file in (*tables.sources(), *tables.views()) if file.startswith("analysis/")}
    unsaid = {name for name in own & tables.known().keys() if f"`{name}`" not in told}
    assert unsaid - steps - {"slices", "processed_data"} == set()


def test_what_a_statement_needs_is_what_it_names_and_what_that_is_made_of():
    assert tables.needed("select site from ENRICHED as e") == [
        "device_registry",
        "raw_sensor_data",
        "registry",
        "enriched",
    ]
    assert tables.needed("describe `enriched`", {"raw_sensor_data", "device_registry"}) == ["registry", "enriched"]
    assert tables.needed("select 'panes' -- of panes\nfrom t") == []
    assert tables.needed("show tables") == [file.partition("/")[2] for file in (*tables.sources(), *tables.views())]
    assert tables.called("select convert_unit(1, 'a', 'b')") == ["convert_unit"]


@pytest.mark.parametrize("name", sorted(kinds.files()))
def test_metrics_and_patterns_need_no_table_beside_their_own(name):
    query, settings = kinds.load(name), JobSettings(_env_file=None)
    run = deployed.of(query).run
    made = [*query.source_statements(run, settings), *query.view_statements()]
    assert query.other_statements(made, settings, Reading().begin(), "g") == []
    asks = replace(query, query=query.query + " left join registry as g on true")
    [log, view] = asks.other_statements(made, settings, Reading().begin(), "g")
    assert "create temporary table device_registry" in log
    assert "'properties.group.id' = 'g'," in log
    assert "create temporary view registry" in view


def test_every_table_and_view_says_what_it_holds():
    assert {"readings", "panes", "raw_sensor_data", "pieces", "enriched", "registry", "alerts"} <= tables.known().keys()
    assert all(tables.known().values())


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        ("select * from t limit 3", 3),
        ("select * from t LIMIT  12\n", 12),
        ("select * from (select * from t limit 3) as s", None),
        ("select a, count(*) from t group by a limit 3", None),
        ("select * from t order by a limit 3", None),
        ("select 'limit 3'", None),
    ],
)
def test_a_query_with_a_limit_ends_with_its_last_row(statement, rows):
    assert limit_of(statement) == rows


@pytest.mark.parametrize(
    ("name", "value"), [("from", "noon"), ("until", "later"), ("rows", "0"), ("rows", "many"), ("speed", "9")]
)
def test_a_setting_that_is_none_is_refused_and_nothing_changes(name, value):
    with pytest.raises(BadRequest, match="expected"):
        Reading().changed(name, value)


class Gateway:
    """In the place of a session: what was run; a word in a statement is an error or ctrl-c."""

    def __init__(self):
        self.ran, self.cancelled, self.refused = [], 0, 0

    def execute(self, statement):
        self.ran.append(statement)
        if self.refused:
            self.refused -= 1
            raise BadRequest("not now")
        if "ctrl-c" in statement:
            raise KeyboardInterrupt
        if "wrong" in statement:
            raise BadRequest("Column 'wrong' not found")
        return Answer(["n"], ["INTEGER"], statement.startswith("show"), "", iter([Row("INSERT", [7])]))

    def run(self, statement):
        return [row.values for row in self.execute(statement).rows]

    def cancel(self):
        self.cancelled += 1


def told(lines):
    gateway, said, wrong, given = Gateway(), [], [], iter(lines)
    console = Console(gateway, JobSettings(_env_file=None), Reading(), said.append)

    def ask(_prompt):
        line = next(given, None)
        if line is None:
            raise EOFError
        if line == "^C":
            raise KeyboardInterrupt
        return line

    talk(console, ask, wrong.append)
    return gateway, said, wrong


def test_a_statement_may_have_many_lines_and_a_line_many_statements():
    gateway, _, _ = told(["show", "  catalogs", "; show modules; show", "jobs;"])
    assert gateway.ran == ["show\n  catalogs", "show modules", "show\njobs"]


def test_an_error_or_ctrl_c_ends_the_statement_and_not_the_console():
    gateway, said, wrong = told(["show wrong;", "show ctrl-c;", "show half", "^C", "show jobs;"])
    assert wrong == ["Column 'wrong' not found", "cancelled"]
    assert gateway.ran[-1] == "show jobs"
    assert said[-1].split() == ["+", "7"]


def test_backslash_commands_need_no_semicolon():
    gateway, said, wrong = told(["\\d", "\\d panes", "\\df", "\\x", "\\q", "show jobs;"])
    assert gateway.ran[-1] == "describe panes"
    assert [one for one in gateway.ran[:-1] if "create temporary table panes_log" in one]
    assert any(line.split()[0] == "readings" for line in said)
    assert any("convert_unit(value, unit, wanted)" in line for line in said)
    assert len(wrong) == 1


def test_tables_are_made_anew_when_reading_is_to_start_elsewhere():
    lines = [
        "describe panes;",
        "set 'headwater.from' = 'earliest';",
        "describe panes;",
        "set 'headwater.from' = 'noon';",
    ]
    gateway, _, wrong = told(lines)
    log, view, ask, dropped, again, ask_again = gateway.ran
    assert (ask, ask_again) == ("describe panes", "describe panes")
    assert dropped == "drop temporary table if exists panes_log"
    assert "'scan.startup.mode' = 'timestamp'" in log
    assert "'scan.startup.mode' = 'earliest-offset'" in again
    assert "create temporary view panes as" in view
    assert len(wrong) == 1


def test_a_table_that_could_not_be_made_is_made_when_it_is_named_again():
    gateway = Gateway()
    console = Console(gateway, JobSettings(_env_file=None), Reading(), lambda _: None)
    gateway.refused = 1
    with pytest.raises(BadRequest):
        console.run("describe panes")
    console.run("describe panes")
    refused, table, view, asked = gateway.ran
    assert refused == table
    assert "create temporary table panes_log" in table
    assert "create temporary view panes" in view
    assert asked == "describe panes"


def test_a_script_stops_at_the_statement_that_fails_and_names_it():
    gateway = Gateway()
    console = Console(gateway, JobSettings(_env_file=None), Reading(), lambda _: None)
    with pytest.raises(BadRequest, match=r"statement 2 \(show wrong\)"):
        console.script("show jobs; show wrong; show modules")
    assert len(gateway.ran) == 2


def rows():
    kinds = [("INSERT", 1), ("UPDATE_BEFORE", 1), ("UPDATE_AFTER", 2), ("DELETE", 2)]
    return Answer(["n", "x"], ["INTEGER", "VARCHAR"], True, "", iter([Row(kind, [n, None]) for kind, n in kinds]))


def test_rows_say_whether_they_come_change_or_go():
    lines = []
    assert as_table(rows(), lines.append, None) == 3
    assert [line.split() for line in lines[1:]] == [["+", "1", "null"], ["~", "2", "null"], ["-", "2", "null"]]
    lines.clear()
    assert as_json(rows(), lines.append, 2) == 2
    assert lines == ['{"n": 1, "x": null}', '{"n": 2, "x": null, "$change": "update"}']
