"""Room on the disk: below a low-water mark the doors refuse, so that nothing behind them breaks of a full disk."""

from __future__ import annotations

import shutil
from pathlib import Path

MB = 1_000_000


def free_mb(folder: Path) -> int:
    """Room that is left where `folder` lies, or is going to lie."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free // MB


class Water:
    """Remembers whether there was too little room: it ends only when a quarter more than `mark_mb` is free."""

    def __init__(self, mark_mb: int) -> None:
        self.mark_mb = mark_mb
        self._low = False

    def low(self, free: int) -> bool:
        """Takes a look at the free room (MB); true while there is too little."""
        self._low = free * 4 < self.mark_mb * (5 if self._low else 4)
        return self._low
