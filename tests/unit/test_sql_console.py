"""Analysts' SQL without a gateway: statements cut apart, errors cut short, tables that start where they are told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.cli.sql_console import Console, Reading, talk
from headwater.cli.sql_show import as_json, as_table
from headwater.model.errors import BadRequest
from headwater.model.settings import JobSettings
from headwater.sql import tables
from headwater.sql.session import Answer, Row
from headwater.sql.split import statements
from headwater.stack.trace import innermost

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
    found = list(tables.opening(JobSettings(_env_file=None), Reading(start, until).scan()))
    assert len(found) == len(tables.SOURCES) + len(tables.VIEWS) + 5
    assert not [one for one in found if "${" in one]


def test_tables_start_where_they_are_told():
    settings = JobSettings(_env_file=None)
    latest = tables.statement("sources/raw_sensor_data", settings, Reading("latest").scan())
    assert "'scan.startup.mode' = 'latest-offset'," in latest
    at = tables.statement("analysis/panes_log", settings, Reading("1790000000000", "now").scan())
    assert "'scan.startup.timestamp-millis' = '1790000000000'," in at
    assert "'scan.bounded.mode' = 'latest-offset'," in at


def test_every_table_and_view_says_what_it_holds():
    assert {"readings", "panes", "raw_sensor_data", "pieces"} <= tables.known().keys()
    assert all(tables.known().values())


@pytest.mark.parametrize(
    ("name", "value"), [("from", "noon"), ("until", "later"), ("rows", "0"), ("rows", "many"), ("speed", "9")]
)
def test_a_setting_that_is_none_is_refused_and_nothing_changes(name, value):
    with pytest.raises(BadRequest, match="expected"):
        Reading().changed(name, value)


class Gateway:
    """In the place of a session: what was run; a word in a statement is an error or ctrl-c."""

    def __init__(self):
        self.ran, self.cancelled = [], 0

    def execute(self, statement):
        self.ran.append(statement)
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
    gateway, _, _ = told(["show", "  tables", "; show views; show", "jobs;"])
    assert gateway.ran == ["show\n  tables", "show views", "show\njobs"]


def test_an_error_or_ctrl_c_ends_the_statement_and_not_the_console():
    gateway, said, wrong = told(["show wrong;", "show ctrl-c;", "show half", "^C", "show tables;"])
    assert wrong == ["Column 'wrong' not found", "cancelled"]
    assert gateway.ran[-1] == "show tables"
    assert said[-1].split() == ["+", "7"]


def test_backslash_commands_need_no_semicolon():
    gateway, said, wrong = told(["\\d", "\\d panes", "\\df", "\\x", "\\q", "show tables;"])
    assert gateway.ran == ["describe panes"]
    assert any(line.split()[0] == "readings" for line in said)
    assert any("convert_unit(value, unit, wanted)" in line for line in said)
    assert len(wrong) == 1


def test_tables_are_made_anew_when_reading_is_to_start_elsewhere():
    gateway, _, wrong = told(["set 'headwater.from' = 'earliest';", "set 'headwater.from' = 'noon';"])
    assert len(gateway.ran) == 2 * len(tables.SOURCES)
    assert "earliest-offset" in gateway.ran[1]
    assert len(wrong) == 1


def test_a_script_stops_at_the_statement_that_fails_and_names_it():
    gateway = Gateway()
    console = Console(gateway, JobSettings(_env_file=None), Reading(), lambda _: None)
    with pytest.raises(BadRequest, match=r"statement 2 \(show wrong\)"):
        console.script("show tables; show wrong; show views")
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
