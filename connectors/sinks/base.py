"""What a way into a store must promise, so that play and replay leave the same rows.

A new store is one file: a `Sink` with `positions`, `store` and `disconnect`, a `PROCESS` that says what is started
(`headwater.stack.sinks`), and a `main`. Everything else (reading Kafka, coalescing, outages, broken records) is here
and in `consume.py`; rows of a rebuild may wait in memory (`waiting.py`). The smallest whole one is
`tests/integration/sample_sink.py`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Protocol

from connectors.sinks.rows import row_of
from headwater.model import codec
from headwater.model.generation import epoch, marked
from headwater.model.pack import PULSE_TENANT, Aggregate
from headwater.model.topics import PROCESSED, Topic

Key = tuple[str, str, str, int]
Item = Any
"""What a sink takes in and stores: an `Aggregate`, unless it reads another topic (see `Sink.decode`)."""


class Refusal(Protocol):
    """Takes items that the store can never take, and why. `reason` is one of `headwater.model.pack.REASONS`."""

    def __call__(self, items: list[Item], why: str, reason: str = "bad-record") -> None:
        """On Kafka when it returns."""


def _nobody(items: list[Item], why: str, reason: str = "bad-record") -> None:
    """Before a runner has put its own in the place."""


def newer(row: Aggregate, held: Aggregate) -> bool:
    """Whether `row` replaces `held` of the same key: its version (`generation`, `count`) is not lower.

    Of two rows of one version the larger `as_of` counts, so that the order of arrival never decides.
    """
    return (row.generation, row.count, row.as_of) >= (held.generation, held.count, held.as_of)


@dataclass
class Batch:
    """What one write to a store consists of.

    `rows` holds the newest row of each (tenant, device, metric, pane); `beats` the log time (epoch ms) that came
    through for each (topic, partition); `markers` the generation up to which each partition of `processed-data` may be
    shown; `positions` the next offset to read of each partition once this is stored.
    """

    rows: dict[Key, Aggregate] = field(default_factory=dict)
    beats: dict[tuple[str, int], int] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    markers: dict[int, int] = field(default_factory=dict)

    def add(self, row: Aggregate) -> None:
        """Take a row in; of one key only the newest stays."""
        if (marker := marked(row)) is not None:
            at, generation = marker
            self.markers[at] = max(generation, self.markers.get(at, 0))
            return
        if row.tenant == PULSE_TENANT:
            topic, _, partition = row.device.rpartition("-")
            if partition.isdigit():
                beat = (topic, int(partition))
                self.beats[beat] = max(row.as_of, self.beats.get(beat, 0))
            return
        key = row.key
        held = self.rows.get(key)
        if held is None or newer(row, held):
            self.rows[key] = row

    def mixes_epochs(self, row: Aggregate) -> bool:
        """True if `row` would push a row of another epoch out, which is shown while `row` may have to wait."""
        held = self.rows.get(row.key)
        return held is not None and epoch(held.generation) != epoch(row.generation)

    def items(self) -> list[Item]:
        """What the store takes row by row."""
        return list(self.rows.values())

    def without_items(self) -> Batch:
        """The rest of it."""
        return replace(self, rows={})

    def halves(self) -> tuple[Batch, Batch]:
        """Two batches that together are this one; only the second carries the positions."""
        middle = len(self.rows) // 2
        head = dict(islice(self.rows.items(), middle))
        tail = dict(islice(self.rows.items(), middle, None))
        return Batch(head), Batch(tail, self.beats, self.positions, self.markers)


class Sink(ABC):
    """A store that the rows of `processed-data` are written to, or the records of another `topic`.

    Guarantee: input at least once, effect exactly once. Rows may come twice, late and out of order: the store applies a
    row only if its version is not lower than the one that it holds (`newer`). A position is stored with the rows before
    it or after them, never ahead of them; so whatever dies, reading starts again at or before the first row that is not
    in the store. Two instances at once do each other no harm, for the same two reasons. A row of a higher epoch than
    the one that is shown replaces none of a lower one before the markers have come (`headwater.model.generation`).

    The order of calls: `positions`; `write`, `flush` when `due` and `upkeep` by turns; at last `close`. When one of
    `outages` is raised, the caller drops all by `reset` and starts again at `positions`: there is no other recovery.
    """

    topic: Topic = PROCESSED
    """What is read."""
    name: str
    """Names the sink in logs, dead letters, `sink_offset` and as the Kafka group."""
    keeps_positions: bool = True
    """False: the store keeps no positions, and they are committed to the Kafka group `name` after each flush."""
    refill_ms: int | None = 15 * 60_000
    """How much of the newest log fills a store that came up empty (`holds_data`); None: all that the topic keeps."""
    every_ms: int = 0
    """A row that keeps changing is written at most once in this time."""
    most_pending: int = 50_000
    """Rows held back above which a flush is due at once: the bound of memory."""
    outages: tuple[type[Exception], ...] = (OSError,)
    """What the store raises when it is down, restarts, or refuses for now."""
    poison: tuple[type[Exception], ...] = ()
    """What the store raises when it can never take a row of the batch."""

    def __init__(self) -> None:
        self.pending = self.batch()
        self.refuse: Refusal = _nobody
        """Called with rows that the store can never take, and why. The runner makes dead letters of them."""
        self.log_id = ""
        """Identity of the log that is read, as Kafka gives it; positions of another log do not count."""
        self._flushed_at = 0.0

    def batch(self) -> Any:
        """An empty batch; one of another topic has the methods and `positions` of `Batch`."""
        return Batch()

    def decode(self, message: Any) -> Item:
        """What `store` gets of a record that is not empty, as Kafka's client gives it. Raises `BadRecord`."""
        return row_of(message.value())

    def letter(self, item: Item) -> tuple[bytes, str, str]:
        """The bytes, the tenant and the device of an item that is refused."""
        return codec.encode(item), item.tenant, item.device

    @abstractmethod
    def positions(self) -> dict[int, int]:
        """The next offset to read of each partition that has one; also the proof that the store answers.

        Empty where the store keeps none. Raises one of `outages` while the store is not there.
        """

    @abstractmethod
    def store(self, batch: Any) -> None:
        """Apply the batch by the rule of versions, its positions with or after its rows. May be called twice."""

    @abstractmethod
    def disconnect(self) -> None:
        """Let go of the store's connection, whatever state it is in. Never raises."""

    def holds_rows_back(self) -> bool:
        """True while rows wait in memory for their generation to be shown: their positions are not to be committed."""
        return False

    def holds_data(self) -> bool:
        """False if the store came up empty although positions are kept elsewhere: the recent log is then read again."""
        return True

    def upkeep(self) -> None:  # noqa: B027 - most stores need none
        """What the store wants done from time to time (rollups, partitions); called between writes, returns soon."""

    def write(self, rows: Iterable[Item], positions: dict[int, int]) -> None:
        """Take rows, and the next offset to read of each partition that they came from. Holds them until a flush."""
        for row in rows:
            if self.pending.mixes_epochs(row):
                self.flush()
            self.pending.add(row)
        self.pending.positions.update(positions)

    def due(self) -> bool:
        """Whether something waits that may be written now."""
        if not self.pending.positions:
            return False
        waited = (time.monotonic() - self._flushed_at) * 1000
        return waited >= self.every_ms or len(self.pending.items()) >= self.most_pending

    def flush(self) -> None:
        """Everything written so far is in the store when this returns. Raises one of `outages`."""
        self._flushed_at = time.monotonic()
        if self.pending.positions or self.pending.items():
            self._store_what_can_be(self.pending)
            self.pending = self.batch()

    def reset(self) -> None:
        """Forget what is pending and the connection. What was pending is read again: its positions are not stored."""
        self.pending = self.batch()
        self.disconnect()

    def close(self) -> None:
        """Flush, then let go."""
        try:
            self.flush()
        finally:
            self.disconnect()

    def _store_what_can_be(self, batch: Any) -> None:
        try:
            self.store(batch)
        except self.poison as error:
            if len(batch.items()) > 1:
                for half in batch.halves():
                    self._store_what_can_be(half)
                return
            self.refuse(batch.items(), f"{self.name} can never take this row: {error}")
            self.store(batch.without_items())
