"""Generations: what lets a row shrink, and from when on rows of a new one are shown.

The version of a row is (generation, count). A changed query may count less than the one before, so its rows get a
higher generation. While the job that computes them reads the log again its rows are partial, and would be newer by
version all the same. So a row whose **epoch** (`generation // STEP`) is above the one that is shown is held back
wherever a row of a lower epoch stands in its place, until the job has caught up. That is said by **markers**: rows of
the reserved tenant on every partition of `processed-data`, written when all rows of the epoch that were held back lie
before them. A repair of a single row raises its generation by one, within the epoch, and is shown at once.
"""

from __future__ import annotations

from headwater.model.codec import VERSION
from headwater.model.pack import PULSE_TENANT, Aggregate, pane_of
from headwater.model.topics import PROCESSED

STEP = 1_000
"""What a rebuild raises the generation by: room for repairs of single rows in between."""

MARKER = "shown"
"""Metric of a marker."""


def epoch(generation: int) -> int:
    """The rebuild that a generation belongs to; 0 before the first."""
    return generation // STEP


def raised(generation: int) -> int:
    """The first generation of the next epoch."""
    return (epoch(generation) + 1) * STEP


def marker(partition: int, generation: int, log_time: int) -> Aggregate:
    """Says that rows of `generation` are whole up to here on one partition of `processed-data`. Epoch ms."""
    return Aggregate(
        v=VERSION,
        tenant=PULSE_TENANT,
        device=f"{PROCESSED.name}-{partition}",
        metric=MARKER,
        pane=pane_of(log_time),
        generation=generation,
        count=1,
        sum=0.0,
        sum_sq=0.0,
        min=0.0,
        max=0.0,
        first_ms=log_time,
        last_ms=log_time,
        last=0.0,
        as_of=log_time,
        received=0,
    )


def marked(row: Aggregate) -> tuple[int, int] | None:
    """(partition, generation) if the row is a marker, else None."""
    if row.tenant != PULSE_TENANT or row.metric != MARKER:
        return None
    topic, _, partition = row.device.rpartition("-")
    return (int(partition), row.generation) if topic == PROCESSED.name and partition.isdigit() else None


class Shown:
    """Which generation is shown, from the markers that were seen; a marker counts when all partitions have theirs."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._seen: dict[int, int] = {}
        self.generation = 0

    def take(self, partition: int, generation: int) -> bool:
        """Takes a marker in; true if rows that were held back may be shown now."""
        self._seen[partition] = max(generation, self._seen.get(partition, 0))
        if len(self._seen) < self._partitions:
            return False
        before, self.generation = self.generation, min(self._seen.values())
        return epoch(self.generation) > epoch(before)

    def holds(self, generation: int) -> bool:
        """Whether rows of this generation wait where a row of a lower epoch is shown."""
        return epoch(generation) > epoch(self.generation)
