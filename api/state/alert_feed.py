"""Keeps the board of active alerts up to the log: from what Valkey holds, then along `alerts`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from api.state.board import AlertBoard
from api.state.cursor import Positions
from api.state.feed import Mailbox
from api.state.follow import Decoder, Ends, Follower, client_settings, ends_of
from api.state.meters import Meters
from api.state.valkey import Valkey
from headwater.model.alert import AlertEvent
from headwater.model.errors import HeadwaterError
from headwater.model.settings import ApiSettings
from headwater.model.topics import ALERTS

log = structlog.get_logger(__name__)

SINK_GROUP = "sink-active-alerts"
"""Consumer group under which the sink commits what is surely in Valkey."""

REMEMBERED = 10_000
"""Cleared alerts that the board remembers."""

_SEED_WAIT_S = 3.0

Record = tuple[int, int, AlertEvent | None]
"""Partition, offset, event; None for what is no event."""


class AlertFeed:
    """Folds `alerts` into `board`, on the event loop, once a tick of the live feed.

    It begins where the sink has committed, which is looked up before Valkey is read: so nothing lies between the two.
    Without either, it begins with all that the topic keeps. `ready` is True once everything that was in the log at the
    start is folded in: before, an alert may be missing, or one that was cleared be shown.
    """

    def __init__(self, settings: ApiSettings, valkey: Valkey, meters: Meters) -> None:
        self._kafka = settings.kafka
        self._valkey = valkey
        self._meters = meters
        # Small, as all of it is folded within one tick, at 10 us each.
        self._mailbox: Mailbox[Record] = Mailbox(5_000)
        self._follower = Follower(settings.kafka, ALERTS.name, self._begin, self._take)
        self._committed: Positions = {}
        self._start: tuple[Positions, Positions] | None = None
        self._decoder = Decoder(ALERTS.name, AlertEvent)
        self._targets: Positions = {}
        self.board = AlertBoard(REMEMBERED)
        self.positions: Positions = {}
        self.ready = False

    async def run(self) -> None:
        """Seeds and reads until cancelled."""
        committed = await asyncio.to_thread(self._ask_committed)
        seeding = asyncio.create_task(self._seed())
        try:
            await asyncio.wait([seeding], timeout=_SEED_WAIT_S)
            if seeding.done() and seeding.result():
                self._committed = committed
            self._follower.start()
            await seeding
            await asyncio.Event().wait()
        finally:
            seeding.cancel()
            self._follower.stop()
            self._mailbox.close()

    def on_tick(self, _: Sequence[Any], now: int) -> None:
        """Folds what has come; `now` is UTC epoch ms."""
        if self._start is not None and not self.positions:
            starts, self._targets = self._start
            self.positions = dict(starts)
        before = self.board.seq
        for partition, offset, event in self._mailbox.take():
            self.positions[partition] = offset + 1
            new = event is not None and self.board.fold(event) is not None
            if event is not None and new and self.ready and event.happened == "raised" and event.received:
                self._meters.alert_delay.observe(max(0, now - event.received) / 1000)
        was_ready = self.ready
        if not self.ready and self.positions:
            self.ready = all(self.positions.get(partition, 0) >= end for partition, end in self._targets.items())
        if self.board.seq != before or self.ready != was_ready:
            for severity, count in self.board.all_counts().items():
                self._meters.active_alerts.labels(severity).set(count)

    def _ask_committed(self) -> Positions:
        """Where the sink has come to; nothing while Kafka does not say."""
        consumer = Consumer(client_settings(self._kafka, SINK_GROUP))
        try:
            asked = [TopicPartition(ALERTS.name, partition) for partition in ends_of(consumer, ALERTS.name)]
            return {at.partition: at.offset for at in consumer.committed(asked, timeout=5) if at.offset >= 0}
        except KafkaException as error:
            log.warning("cannot read where the sink of alerts is, reading all of the topic", error=str(error))
            return {}
        finally:
            consumer.close()

    async def _seed(self) -> bool:
        """Takes over what Valkey holds; whether its sink says that this is all. Tries until Valkey answers."""
        while True:
            try:
                filled = await self._valkey.holds_alerts()
                async for tenant, ids in self._valkey.cleared_alerts(REMEMBERED):
                    self.board.seed_cleared(tenant, ids)
                active = [each async for chunk in self._valkey.episodes() for each in chunk]
                for each in sorted(active, key=lambda each: each.changed):
                    self.board.seed(each)
                return filled
            except HeadwaterError as error:
                log.warning("cannot read active alerts yet, trying again", error=str(error))
                await asyncio.sleep(2)

    def _begin(self, _: Consumer, ends: Ends) -> dict[int, int]:
        starts = {at: min(max(low, self._committed.get(at, low)), high) for at, (low, high) in ends.items()}
        self._start = starts, {partition: high for partition, (_, high) in ends.items()}
        return dict(starts)

    def _take(self, messages: Sequence[Message]) -> None:
        self._mailbox.put([self._decoder.record(message) for message in messages])
