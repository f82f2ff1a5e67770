"""A JVM of the stack: where it puts what it would leave behind if it were killed."""

import subprocess
from pathlib import Path

from headwater.broker.files import Folders
from headwater.model.settings import BrokerSettings
from headwater.stack import jvm


def test_a_jvm_begins_in_an_empty_folder_of_its_own_whatever_the_last_one_has_left(tmp_path):
    folder = tmp_path / "state of mine" / "tmp"
    folder.mkdir(parents=True)
    (folder / "librocksdbjni1.so").write_text("left by a killed one")
    command = jvm.working_in(folder, Path("/bin/echo"), "-Xmx1m", "Main")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"-Djava.io.tmpdir={folder} -Xmx1m Main\n"
    assert list(folder.iterdir()) == []


def test_the_broker_empties_the_folder_of_its_jvm_and_keeps_its_sessions(tmp_path):
    folders = Folders(tmp_path / "broker")
    folders.prepare(BrokerSettings())
    (folders.tmp / "librocksdbjni1.so").touch()
    (folders.data / "session").touch()
    folders.prepare(BrokerSettings())
    assert list(folders.tmp.iterdir()) == []
    assert (folders.data / "session").exists()
