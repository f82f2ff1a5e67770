"""Typing into the console: what Tab offers, and lines that are there the next time."""

import readline

import pytest

from headwater.cli.sql_console import completions
from headwater.cli.sql_typing import HISTORY, HISTORY_LINES, helped


def offered(line: str) -> list[str]:
    """What Tab offers at the end of a line, by way of readline's own hook."""
    completer, text, found = readline.get_completer(), line.rpartition(" ")[2], []
    while (word := completer(text, len(found))) is not None:
        found.append(word)
    return found


def test_words_tables_columns_and_functions_are_completed():
    assert completions("sel", "sel") == ["select"]
    assert completions("SEL", "SEL") == ["select"]
    assert completions("select * from enr", "enr") == ["enriched", "enriched_data"]
    assert "log_time" in completions("select log_", "log_")
    assert completions("select convert_", "convert_") == ["convert_unit"]
    assert completions("set 'headwater.f", "headwater.f") == ["headwater.from"]
    assert completions("select nothing_of_ours", "nothing_of_ours") == []


def test_commands_are_completed_at_the_beginning_of_a_line_and_tables_behind_one():
    assert completions("\\", "\\") == ["\\?", "\\d", "\\df", "\\q"]
    assert completions("\\d", "\\d") == ["\\d", "\\df"]
    assert completions("select \\d", "\\d") == []
    assert {"registry", "raw_sensor_data", "readings", "rules"} <= {*completions("\\d r", "r")}
    assert "row_number" not in completions("\\d r", "r")
    assert completions("\\df r", "r") == []


def test_tab_offers_one_word_after_the_other(tmp_path):
    with helped(tmp_path):
        assert offered("\\d") == ["\\d", "\\df"]
        assert offered("coal") == ["coalesce"]
        assert offered("zzz") == []


def test_a_backslash_and_a_dot_are_part_of_a_word_and_an_operator_ends_one(tmp_path):
    with helped(tmp_path):
        delimiters = readline.get_completer_delims()
    assert not {"\\", ".", "_"} & {*delimiters}
    assert {" ", "(", ",", "=", "'", "`"} <= {*delimiters}


def test_what_was_typed_is_there_the_next_time_and_for_nobody_else(tmp_path):
    with helped(tmp_path):
        readline.add_history("select 1;")
    with helped(tmp_path):
        assert readline.get_history_item(1) == "select 1;"
        readline.add_history("select 2;")
    assert (tmp_path / HISTORY).read_text().splitlines() == ["select 1;", "select 2;"]
    assert (tmp_path / HISTORY).stat().st_mode & 0o777 == 0o600


def test_what_was_typed_is_kept_also_when_the_console_fails(tmp_path):
    def fails():
        readline.add_history("select 1;")
        raise RuntimeError

    with pytest.raises(RuntimeError), helped(tmp_path):
        fails()
    assert (tmp_path / HISTORY).read_text() == "select 1;\n"


def test_the_oldest_lines_go(tmp_path):
    with helped(tmp_path):
        for number in range(HISTORY_LINES + 5):
            readline.add_history(f"select {number};")
    kept = (tmp_path / HISTORY).read_text().splitlines()
    assert (len(kept), kept[0]) == (HISTORY_LINES, "select 5;")
