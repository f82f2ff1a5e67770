"""What the command line prints is what a reader pastes."""

import json
import shlex

import pytest
from typer.testing import CliRunner

from headwater.cli import models
from headwater.cli.main import app
from headwater.cli.registered import attributes, form_of
from headwater.cli.snippets import mosquitto_line, python_snippet
from headwater.cli.tokens import seconds
from headwater.model.errors import BadFields, BadRequest
from headwater.registry.files import Format

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


def test_the_end_of_a_files_name_says_how_it_is_written(tmp_path):
    assert form_of(tmp_path / "a.CSV") is Format.CSV
    assert form_of(tmp_path / "a.ndjson") is Format.NDJSON
    with pytest.raises(BadRequest, match=r"ends in \.csv"):
        form_of(tmp_path / "a.xlsx")


def test_attributes_are_json_if_they_read_as_such():
    found = attributes(["server.serial=7", "server.id=007", "shared.on=true", "client.gone=", "server.a.b=x=y"])
    server = {"serial": 7, "id": "007", "a.b": "x=y"}
    assert found == {"server": server, "shared": {"on": True}, "client": {"gone": None}}
    for wrong in ("serial=7", "server.serial", "servr.x=1", "server.=1"):
        with pytest.raises(BadFields):
            attributes([wrong])


def test_times_have_a_unit():
    assert [seconds(text, "x") for text in ("0s", "10m", "12h", "30d")] == [0, 600, 43_200, 2_592_000]
    with pytest.raises(BadRequest, match="got '10'"):
        seconds("10", "overlap")


def test_a_file_of_models_is_checked_whole():
    found = models.read("models:\n  pump:\n    title: Pump\n    metrics: {flow: {unit: l/min}}\n", "m.yml")
    assert found["pump"]["metrics"]["flow"].unit == "l/min"


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("models: {a: {titel: x}, b: {metrics: {m: {low: high}}}}", ["models.a.titel", "models.b.metrics.m.low"]),
        ("models: {a: 7}", ["models.a"]),
    ],
)
def test_a_wrong_file_of_models_names_every_fault(text, places):
    with pytest.raises(BadFields) as refused:
        models.read(text, "m.yml")
    assert [fault.field for fault in refused.value.faults] == places


@pytest.mark.parametrize("text", ["", "models", "modles: {}", "models: [", "models: {}\nmore: 1"])
def test_what_is_no_file_of_models_says_what_one_is(text):
    with pytest.raises(BadRequest, match=r"m\.yml: expected"):
        models.read(text, "m.yml")


def test_every_command_explains_itself():
    runner = CliRunner()
    for words in (
        [],
        ["devices"],
        ["jobs"],
        ["up"],
        ["status"],
        ["logs"],
        ["devices", "add"],
        ["sites", "set"],
        ["jobs", "stop"],
    ):
        found = runner.invoke(app, [*words, "--help"])
        assert found.exit_code == 0
        assert "Usage" in found.output


def test_a_command_without_a_stack_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADWATER_STATE", str(tmp_path))
    found = CliRunner().invoke(app, ["status"])
    assert found.exit_code == 1
    assert "make up" in found.output
