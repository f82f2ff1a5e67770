"""What our JVMs share.

Archives of loaded classes (`-XX:+AutoCreateSharedArchive`) would save a third of the CPU of a start, but Flink's
planner cannot compile its code on them: reflection gives null for an archived class (Java 21.0.8, Flink 2.3.0).
"""

from __future__ import annotations

from pathlib import Path

from headwater.stack import places
from headwater.stack.state import State

LIGHT = "-XX:TieredStopAtLevel=1"
"""For JVMs that do little: the second compiler costs more than it gives."""


def working_in(state: State, name: str, *arguments: str) -> tuple[str, ...]:
    """The command of the JVM of a program, with a folder of its own for all that it writes beside its data.

    The folder (`tmp_of`) is emptied first. A JVM unpacks native libraries there (RocksDB's: 13 MB), and only an orderly
    end removes them. What a killed one has left is read by nobody again, and must not pile up in the folder that all
    programs of a machine share. What it says when it crashes goes to the logs.
    """
    folder = tmp_of(state, name)
    alone = 'rm -rf "$0" && mkdir -p "$0" && cd "$0" && exec "$@"'
    own = (f"-Djava.io.tmpdir={folder}", f"-XX:ErrorFile={state.folder / 'logs' / name}.crash.log")
    return ("/bin/sh", "-c", alone, str(folder), str(places.java()), *own, *arguments)


def tmp_of(state: State, name: str) -> Path:
    """Where the JVM of a program puts what is of no use to the next one."""
    return state.folder / "tmp" / name
