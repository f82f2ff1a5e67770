"""A JVM of the stack: where it puts what it would leave behind if it were killed."""

import subprocess

from headwater.broker.files import Folders
from headwater.model.settings import BrokerSettings
from headwater.stack import jvm
from headwater.stack.state import State


def test_a_jvm_begins_in_an_empty_folder_of_its_own_whatever_the_last_one_has_left(tmp_path, monkeypatch):
    monkeypatch.setattr(jvm.places, "java", lambda: "/bin/echo")
    state = State.open(tmp_path / "state of mine", {"HEADWATER_PORTS": "free"})
    folder = jvm.tmp_of(state, "kafka")
    folder.mkdir(parents=True)
    (folder / "librocksdbjni1.so").write_text("left by a killed one")
    done = subprocess.run(jvm.working_in(state, "kafka", "-Xmx1m", "Main"), capture_output=True, text=True, check=True)
    crash = state.folder / "logs" / "kafka.crash.log"
    assert done.stdout == f"-Djava.io.tmpdir={folder} -XX:ErrorFile={crash} -Xmx1m Main\n"
    assert list(folder.iterdir()) == []


def test_the_broker_empties_the_folder_of_its_jvm_and_keeps_its_sessions(tmp_path):
    folders = Folders(tmp_path / "broker")
    folders.prepare(BrokerSettings())
    (folders.tmp / "librocksdbjni1.so").touch()
    (folders.data / "session").touch()
    folders.prepare(BrokerSettings())
    assert list(folders.tmp.iterdir()) == []
    assert (folders.data / "session").exists()
