"""A sign of life of processes that serve nobody: a file of the state folder, touched while work gets done.

A process that hangs, or waits for a server that is away, is alive to its supervisor; its file grows old and says so.
Outside a stack (there is no folder for the files) nothing is written.
"""

from __future__ import annotations

import time
from pathlib import Path

from headwater.model.settings import state_folder

FOLDER = "heartbeats"
_AT_MOST_EVERY_S = 1.0


class Heartbeat:
    """The sign of one process, by the name that it has in the stack."""

    def __init__(self, name: str) -> None:
        folder = state_folder() / FOLDER
        self._file: Path | None = folder / name if folder.is_dir() else None
        self._next = 0.0

    def beat(self) -> None:
        """Work has been done, or there was none to do and all that is needed for it answers. Cheap; call it often."""
        now = time.monotonic()
        if self._file is not None and now >= self._next:
            self._next = now + _AT_MOST_EVERY_S
            self._file.touch()
