"""Rows of a rebuild that has not caught up: what the live core keeps back until the markers have come."""

from __future__ import annotations

from headwater.model.generation import Shown
from headwater.model.pack import Aggregate

Key = tuple[str, str, str, int]


class HeldRows:
    """The newest row of each key that waits, at most `bound` of them; of more the oldest are let go.

    What was let go is not told to anybody: `overflowed` says so, and clients must then start from a snapshot.
    """

    def __init__(self, bound: int, partitions: int) -> None:
        self._bound = bound
        self._shown = Shown(partitions)
        self._rows: dict[Key, Aggregate] = {}
        self._risen = self._lost = False
        self.place = (0, 0)

    def holds(self, generation: int) -> bool:
        """Whether rows of this generation wait."""
        return self._shown.holds(generation)

    def take(self, partition: int, generation: int, place: tuple[int, int]) -> None:
        """Takes a marker in that was read at `place` (partition, offset)."""
        if self._shown.take(partition, generation):
            self._risen, self.place = True, place

    def put(self, row: Aggregate) -> None:
        """Keeps a row back; of one key the newest version stays."""
        held = self._rows.pop(row.key, None)
        self._rows[row.key] = held if held is not None and held.version > row.version else row
        if len(self._rows) > self._bound:
            del self._rows[next(iter(self._rows))]
            self._lost = True

    def released(self) -> list[Aggregate]:
        """The rows that wait no longer, by pane; empty unless a marker has come since the last call."""
        if not self._risen:
            return []
        self._risen = False
        free = sorted((row for row in self._rows.values() if not self.holds(row.generation)), key=lambda row: row.pane)
        for row in free:
            del self._rows[row.key]
        return free

    def overflowed(self) -> bool:
        """True once after a release that lacks rows."""
        lost, waiting = self._lost, bool(self._rows)
        self._lost = lost and waiting
        return lost and not waiting
