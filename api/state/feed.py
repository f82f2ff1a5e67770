"""Brings `processed-data` into the live core: one thread reads and decodes, the loop folds once a tick.

Everything that a client sees happens on the event loop, so that the live core needs no lock.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Generic, TypeVar

import structlog
from confluent_kafka import Consumer, Message, TopicPartition

from api.state.follow import Decoder, Ends, Follower
from api.state.live import LiveLog
from api.state.rows import Change
from headwater.clock import now_ms
from headwater.model.errors import HeadwaterError
from headwater.model.pack import Aggregate
from headwater.model.settings import MINUTE_MS, ApiSettings
from headwater.model.topics import PROCESSED

log = structlog.get_logger(__name__)

WINDOW_MS = 5 * MINUTE_MS
"""How far back the memory begins after a start, so that a client's cursor outlives a restart of the API."""

_SLICE = 5_000
_SEED_WAIT_S = 3.0

Record = tuple[int, int, Aggregate | None]
"""Partition, offset, row; None for what is no row."""

_Item = TypeVar("_Item")


class Mailbox(Generic[_Item]):
    """Hands records from the reading thread to the loop; full, it holds the thread back."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: list[_Item] = []
        self._change = threading.Condition()
        self._closed = False

    def put(self, records: list[_Item]) -> None:
        """Adds `records`; blocks while the loop is behind."""
        with self._change:
            while len(self._held) >= self._most and not self._closed:
                self._change.wait(1.0)
            self._held.extend(records)

    def take(self) -> list[_Item]:
        """All that has come since the last call, in order."""
        with self._change:
            held, self._held = self._held, []
            self._change.notify_all()
            return held

    def close(self) -> None:
        """Lets a thread that waits in `put` go on."""
        with self._change:
            self._closed = True
            self._change.notify_all()


class Feed:
    """Keeps `live` up to the log and says when a tick is over.

    `ready` is True once everything that was in the log at the start is folded in: only then do clients get rows,
    as before that a snapshot would be old and a cursor would seem to lie in the future.
    """

    def __init__(
        self,
        settings: ApiSettings,
        live: LiveLog,
        seeds: Callable[[], AsyncIterator[list[Aggregate]]],
    ) -> None:
        self._settings = settings
        self._seeds = seeds
        self._mailbox: Mailbox[Record] = Mailbox(100_000)
        self._targets: dict[int, int] | None = None
        self._starts: dict[int, int] | None = None
        self._turn = asyncio.Event()
        self._follower = Follower(settings.kafka, PROCESSED.name, self._begin, self._take)
        self.live = live
        self.on_tick: list[Callable[[list[Change], int], None]] = []
        self.ready = False
        self._decoder = Decoder(PROCESSED.name, Aggregate)

    @property
    def trouble(self) -> str | None:
        """What keeps the feed from reading, or None."""
        return self._follower.trouble

    def turn(self) -> asyncio.Event:
        """Set when the tick that is under way is over; each tick has its own."""
        return self._turn

    async def run(self) -> None:
        """Seeds, reads and folds until cancelled."""
        seeding = asyncio.create_task(self._seed())
        try:
            await asyncio.wait([seeding], timeout=_SEED_WAIT_S)
            self._follower.start()
            await self._ticks()
        finally:
            seeding.cancel()
            self._follower.stop()
            self._mailbox.close()

    async def _ticks(self) -> None:
        clock = asyncio.get_running_loop().time
        width = self._settings.tick_ms / 1000
        due = clock()
        while True:
            due = max(due + width, clock())
            await asyncio.sleep(due - clock())
            try:
                await self._tick()
            except Exception:
                log.exception("a tick failed, going on with the next")

    async def _tick(self) -> None:
        if self._starts is not None and not self.live.positions:
            self.live.begin(self._starts)
        records = self._mailbox.take()
        changes: list[Change] = []
        for start in range(0, len(records), _SLICE):
            self._fold(records[start : start + _SLICE], changes)
            # A long catch-up must not keep requests waiting.
            await asyncio.sleep(0)
        self.live.mark()
        if not self.ready:
            self.ready = self._caught_up()
            changes = []
        self.end_tick(changes)

    @property
    def unreadable(self) -> int:
        """Records that were no rows."""
        return self._decoder.unreadable

    def end_tick(self, changes: list[Change]) -> None:
        """Tells whoever waits that the tick is over, and what it changed."""
        for listener in self.on_tick:
            listener(changes, now_ms())
        over, self._turn = self._turn, asyncio.Event()
        over.set()

    def _fold(self, records: list[Record], changes: list[Change]) -> None:
        for partition, offset, row in records:
            if row is None:
                self.live.skip(partition, offset)
            elif (change := self.live.fold(partition, offset, row)) is not None:
                changes.append(change)
        changes += self.live.release()

    def _caught_up(self) -> bool:
        targets, positions = self._targets, self.live.positions
        if targets is None or not positions:
            return False
        return all(positions.get(partition, 0) >= end for partition, end in targets.items())

    async def _seed(self) -> None:
        """Fills in what has been silent for longer than the window, from the store of latest values."""
        while True:
            try:
                async for rows in self._seeds():
                    for row in rows:
                        self.live.seed(row)
                return
            except HeadwaterError as error:
                log.warning("cannot read latest values yet, trying again", error=str(error))
                await asyncio.sleep(2)

    def _begin(self, consumer: Consumer, ends: Ends) -> dict[int, int]:
        """From five minutes ago on, but never more than memory can hold anyhow."""
        since = now_ms() - WINDOW_MS
        asked = [TopicPartition(PROCESSED.name, partition, since) for partition in ends]
        most = 5 * self._settings.live_rows // max(1, len(ends))
        starts = {}
        for found in consumer.offsets_for_times(asked, timeout=5):
            low, high = ends[found.partition]
            start = found.offset if found.offset >= 0 else high
            starts[found.partition] = max(low, start, high - most)
        self._targets = {partition: high for partition, (_, high) in ends.items()}
        self._starts = starts
        return dict(starts)

    def _take(self, messages: Sequence[Message]) -> None:
        self._mailbox.put([self._decoder.record(message) for message in messages])
