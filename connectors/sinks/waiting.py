"""Rows of a rebuild that a store may not show yet: for sinks whose store has no place to keep them aside.

What it takes of the store is one more condition in its rule of versions: a row of `hidden` or a higher generation does
not replace a row of a lower epoch. Which rows that kept back only the store knows, so all of them are offered again
when the markers have come (`headwater.model.generation`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from operator import attrgetter

from connectors.sinks.base import Batch, newer
from headwater.model.generation import Shown, raised
from headwater.model.pack import Aggregate


class Waiting:
    """The newest row of each place that may have to be offered again, in memory: of a long rebuild they are many.

    The sink must leave its positions to Kafka (`keeps_positions = False`) and answer `bool` of this from
    `holds_rows_back`, so that what waits is read again after a crash. `place` says which rows replace each other;
    without it those of one key, as in a store that keeps every pane.
    """

    def __init__(self, partitions: int, place: Callable[[Aggregate], Hashable] = attrgetter("key")) -> None:
        self._shown = Shown(partitions)
        self._place = place
        self._rows: dict[Hashable, Aggregate] = {}
        self._risen = False

    def __bool__(self) -> bool:
        return bool(self._rows)

    @property
    def hidden(self) -> int:
        """The first generation whose rows may not replace those of a lower epoch."""
        return raised(self._shown.generation)

    def offered(self, batch: Batch) -> list[Aggregate]:
        """What the store is to take now, one row of each place; takes the markers of `batch` in."""
        for marker in sorted(batch.markers.items()):
            self._risen |= self._shown.take(*marker)
        offered = dict(self._rows) if self._risen else {}
        self._merge(batch.rows.values(), offered)
        return list(offered.values())

    def stored(self, batch: Batch) -> None:
        """To be called when the store has taken what it was offered of `batch`."""
        if self._risen:
            self._rows = {place: row for place, row in self._rows.items() if self._shown.holds(row.generation)}
            self._risen = False
        self._merge((row for row in batch.rows.values() if self._shown.holds(row.generation)), self._rows)

    def forget(self) -> None:
        """To be called on `disconnect`: everything that waits is read again."""
        self._rows = {}

    def _merge(self, rows: Iterable[Aggregate], kept: dict[Hashable, Aggregate]) -> None:
        """Takes rows into `kept`, which holds the newest of each place: by pane, then by version."""
        for row in rows:
            place = self._place(row)
            held = kept.get(place)
            if held is None or row.pane > held.pane or (row.pane == held.pane and newer(row, held)):
                kept[place] = row
