"""What the command line prints is what a reader pastes."""

import json
import shlex

import pytest
from typer.testing import CliRunner

from headwater.cli.devices import mosquitto_line, python_snippet, read_rows
from headwater.cli.main import app
from headwater.model.errors import BadRequest

ARGUMENTS = ("mqtt://127.0.0.1:1883", "demo", "my-sensor", "s3cret")


def test_the_mosquitto_line_is_one_command_with_a_json_payload():
    words = shlex.split(mosquitto_line(*ARGUMENTS))
    given = dict(zip(words[1::2], words[2::2], strict=True))
    assert words[0] == "mosquitto_pub"
    assert (given["-h"], given["-p"], given["-q"]) == ("127.0.0.1", "1883", "1")
    assert (given["-u"], given["-P"]) == ("demo/my-sensor", "s3cret")
    assert given["-t"] == "v1/demo/my-sensor/telemetry"
    assert json.loads(given["-m"]) == {"temperature": 21.5}


def test_the_python_snippet_is_a_program():
    text = python_snippet(*ARGUMENTS)
    compile(text, "snippet", "exec")
    assert "'v1/demo/my-sensor/telemetry'" in text


def test_a_file_of_devices_may_have_a_heading_and_kinds(tmp_path):
    file = tmp_path / "devices.csv"
    file.write_text("tenant,device,kind\ndemo,a\n\ndemo, b ,boiler\n")
    assert read_rows(file) == [("demo", "a", ""), ("demo", "b", "boiler")]


@pytest.mark.parametrize("line", ["demo", "demo,a,b,c", "demo,_a", "de/mo,a"])
def test_a_bad_line_is_refused_before_anything_is_made(tmp_path, line):
    file = tmp_path / "devices.csv"
    file.write_text(f"demo,good\n{line}\n")
    with pytest.raises(BadRequest):
        read_rows(file)


def test_every_command_explains_itself():
    runner = CliRunner()
    for words in ([], ["devices"], ["jobs"], ["up"], ["status"], ["logs"], ["devices", "add"], ["jobs", "stop"]):
        found = runner.invoke(app, [*words, "--help"])
        assert found.exit_code == 0
        assert "Usage" in found.output


def test_a_command_without_a_stack_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADWATER_STATE", str(tmp_path))
    found = CliRunner().invoke(app, ["status"])
    assert found.exit_code == 1
    assert "make up" in found.output
