"""Which sinks the stack starts: what modules say of themselves, and what is refused."""

from importlib import import_module

import pytest

from headwater.model.errors import StackError
from headwater.stack import catalog, life, sinks
from headwater.stack.state import State


def test_a_file_that_says_what_it_is_is_started_and_stopped_before_what_it_talks_to(tmp_path, monkeypatch):
    (tmp_path / "csv_files.py").write_text('PROCESS = {"says": "rows into files", "depends": ("topics",)}\n')
    (tmp_path / "helper.py").write_text("LEAST = 1\n")
    [one] = sinks.found(tmp_path)
    assert (one.name, one.module, one.depends) == ("sink-csv-files", "connectors.sinks.csv_files", ("topics",))
    assert one.alive == ("sink-csv-files",)

    monkeypatch.setattr(sinks, "found", lambda: [one])
    state = State.open(tmp_path / "state", {"HEADWATER_PORTS": "free"})
    [program] = [each for each in catalog.programs(state) if each.name == "sink-csv-files"]
    assert program.command[1:] == ("-m", "connectors.sinks.csv_files")
    assert (program.says, program.depends) == ("rows into files", ("topics",))
    groups = life.order()
    place = next(at for at, group in enumerate(groups) if "sink-csv-files" in group)
    assert place < next(at for at, group in enumerate(groups) if "kafka" in group)
    assert place > next(at for at, group in enumerate(groups) if "bridge" in group)


@pytest.mark.parametrize(
    ("text", "came"),
    [
        ('PROCESS = {"says": "rows"}', "got {'says': 'rows'}"),
        ('PROCESS = {"says": "rows", "depends": "topics"}', "got depends 'topics'"),
        ('PROCESS = {"says": "", "depends": ()}', "got says ''"),
        ('PROCESS = {"says": "rows", "depends": (), "port": "x"}', "'port': 'x'"),
        ("PROCESS = made()", "got made(), which is not plain values"),
        ("PROCESS: dict = {}", "got {}"),
        ("def main(): ...", "got a function main and no PROCESS"),
    ],
)
def test_what_does_not_say_what_it_is_is_refused(tmp_path, text, came):
    (tmp_path / "files.py").write_text(text)
    with pytest.raises(StackError) as caught:
        sinks.found(tmp_path)
    assert "connectors/sinks/files.py: expected PROCESS with says" in str(caught.value)
    assert came in str(caught.value)


@pytest.mark.parametrize("one", sinks.found(), ids=lambda one: one.name)
def test_a_process_runs_the_sinks_that_it_says(one, monkeypatch):
    module, ran = import_module(one.module), []
    monkeypatch.setattr(module, "run", lambda sink, _settings, *beside: ran.extend((sink, *beside)))
    module.main()
    assert [sink.name for sink in ran] == [*one.alive]
