"""The way of `alerts` into Valkey: which alerts of each tenant are active.

It runs beside the sink of latest values, in the same process: events are few.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from connectors.sinks.keys import KeySink
from headwater.clock import now_ms
from headwater.model import codec
from headwater.model.alert import AlertEvent
from headwater.model.episode import Episode, episode, joined
from headwater.model.stores import ALERTS_FILLED_KEY, active_alerts_key, cleared_alerts_key
from headwater.model.topics import ALERTS

_REMEMBERED_MS = 7 * 86_400_000
_MOST_REMEMBERED = 100_000
_IN_A_CALL = 500
"""Episodes in one call of the script, during which the store serves nobody else."""

Key = tuple[str, str]


class Episodes:
    """What one write consists of: of each (tenant, alert id) all that its events said, joined, and positions."""

    def __init__(self, held: dict[Key, Episode] | None = None, positions: dict[int, int] | None = None) -> None:
        self.held = held or {}
        self.positions = positions or {}

    def add(self, given: Episode) -> None:
        """Take in what an event says of its episode."""
        key = (given.tenant, given.alert_id)
        held = self.held.get(key)
        self.held[key] = given if held is None else joined(held, given)

    def items(self) -> list[Episode]:
        """The episodes."""
        return list(self.held.values())


class ActiveAlertSink(KeySink):
    """Events of alerts into the hashes of `active_alerts_key`, joined by script; what is cleared leaves them.

    That an alert was cleared is remembered for a week, of the newest 100,000 of a tenant: events of it that come again
    do not bring it back. An empty store is filled from all that the topic keeps.
    """

    topic = ALERTS
    name = "sink-active-alerts"
    every_ms = 50
    filled_key = ALERTS_FILLED_KEY
    scripts = ("episodes",)
    refill_ms = None
    pending: Episodes

    def batch(self) -> Episodes:
        """An empty one."""
        return Episodes()

    def decode(self, message: Any) -> Episode:
        """What the event says of its episode. Raises `BadRecord`."""
        return episode(codec.decode(AlertEvent, message.value()))

    def write(self, rows: Iterable[Episode], positions: dict[int, int]) -> None:
        """Take episodes, and the next offset to read of each partition. Holds them until a flush."""
        for row in rows:
            self.pending.add(row)
        self.pending.positions.update(positions)

    def store(self, batch: Episodes) -> None:
        """All of the batch in one pipeline; not a transaction, for every command may be repeated."""
        now = now_ms()
        tenants: dict[str, list[bytes]] = defaultdict(list)
        for each in batch.items():
            tenants[each.tenant].append(codec.encode(each))
        pipe = self._client.pipeline(transaction=False)
        for tenant, texts in tenants.items():
            keys = active_alerts_key(tenant), cleared_alerts_key(tenant)
            for start in range(0, len(texts), _IN_A_CALL):
                part = texts[start : start + _IN_A_CALL]
                limits = now, now - _REMEMBERED_MS, _MOST_REMEMBERED
                pipe.evalsha(self._script["episodes"], 2, *keys, *limits, *part)
        pipe.execute()
        self.remember_that_it_is_filled()
