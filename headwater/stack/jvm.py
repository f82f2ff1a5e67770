"""What our JVMs share.

Archives of loaded classes (`-XX:+AutoCreateSharedArchive`) would save a third of the CPU of a start, but Flink's
planner cannot compile its code on them: reflection gives null for an archived class (Java 21.0.8, Flink 2.3.0).
"""

from __future__ import annotations

from pathlib import Path

LIGHT = "-XX:TieredStopAtLevel=1"
"""For JVMs that do little: the second compiler costs more than it gives."""


def working_in(folder: Path, java: Path, *arguments: str) -> tuple[str, ...]:
    """The command of a JVM with a folder of its own for all that it writes beside its data, emptied first.

    It unpacks native libraries there (RocksDB's: 13 MB), and only an orderly end removes them. What a killed one has
    left is read by nobody again, and must not pile up in the folder that all programs share.
    """
    alone = 'rm -rf "$0" && mkdir -p "$0" && cd "$0" && exec "$@"'
    return ("/bin/sh", "-c", alone, str(folder), str(java), f"-Djava.io.tmpdir={folder}", *arguments)
