"""Alerts as the evaluator says them of the log itself, beside what the store holds.

It reads the same topics as the alerting job, from where it stopped, and knows nothing of jobs, state or restarts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg

from headwater.model import codec
from headwater.model.alert import AlertEvent
from headwater.model.errors import BadRecord
from headwater.model.pack import Pack
from headwater.model.settings import JobSettings
from headwater.model.stores import ALERT_EVENTS
from headwater.model.topics import ALERT_RULES, DEVICE_REGISTRY, RAW
from headwater.rules.desk import DEVICE, RULE, Desk
from headwater.rules.item import Tick, slices
from headwater.rules.state import State
from headwater.rules.step import step
from headwater.truth.span import Reader, Tail
from headwater.truth.stored import wait_for_none


class Said(NamedTuple):
    """An event of an alert, by what must be the same wherever it is found."""

    alert_id: str
    log_time: int
    event_time: int
    happened: str
    severity: str
    why: str
    rule: str
    version: int
    device: str
    metric: str
    start: int


@dataclass
class AlertTruth:
    """Judges what has come to the log of one tenant since the last look.

    Of readings before log time `from_ms` (epoch ms) it knows nothing: the tenant must not have a rule then.
    """

    reader: Reader
    settings: JobSettings
    tenant: str
    from_ms: int
    until: int = 0
    """Log time (epoch ms) up to which everything is judged."""
    events: set[Said] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._desk = Desk(self.settings.partitions, self.settings.rules_delay_ms)
        self._states: dict[str, State] = {}
        self._control, self._tail = Tail(self.reader), Tail(self.reader, self.from_ms)

    def look(self) -> None:
        """Judges what is new. Of records that lie in the log now, those of a tick ago are surely judged."""
        raw = self._tail.new(RAW.name)  # its end is taken first: what counts for it is in the control topics by then
        for kind, topic in ((RULE, ALERT_RULES), (DEVICE, DEVICE_REGISTRY)):
            for entry in self.reader.read(self._control.new(topic.name)):
                self._desk.take(kind, entry.log_time, entry.value or b"")
        newest = dict.fromkeys(raw.end, 0)
        for entry in self.reader.read(raw):
            newest[entry.partition] = entry.log_time
            if (entry.key or b"").startswith(f"{self.tenant}/".encode()):
                with suppress(BadRecord):
                    pack = codec.decode(Pack, entry.value or b"")
                    for item in slices(pack, entry.log_time):
                        self._step(pack.device, item)
        self.until = max(self.until, min(newest.values()) - 1)
        for device in self._states:
            self._step(device, Tick(self.until))

    def _step(self, device: str, item: Any) -> None:
        state = self._states.setdefault(device, State())
        found, _ = step(self._desk.rules(self.tenant, device), state, item)
        self.events.update(_said(found))

    def difference(self, url: str, s: float) -> tuple[set[Said], set[Said]]:
        """(events that the store lacks, events that it should not have) of log times before `until`.

        One that is due at `until` itself is raised by whatever is later, so the job may know it already.
        Asks PostgreSQL (`url`) until they are equal or `s` seconds are over. Raises what it raised if it is away then.
        """

        def compared() -> tuple[set[Said], set[Said]]:
            with psycopg.connect(url, connect_timeout=5) as connection:
                stored = set(self._stored(connection))
            wanted = {one for one in self.events if one.log_time < self.until}
            return wanted - stored, stored - wanted

        return wait_for_none(compared, s)

    def _stored(self, connection: psycopg.Connection[Any]) -> Iterator[Said]:
        columns = ", ".join(Said._fields)
        query = f"select {columns} from {ALERT_EVENTS} where tenant = %s and log_time >= %s and log_time < %s"  # noqa: S608  # our names
        return (Said(*row) for row in connection.execute(query, (self.tenant, self.from_ms, self.until)))


def _said(events: list[AlertEvent]) -> Iterator[Said]:
    return (Said(*(getattr(event, name) for name in Said._fields)) for event in events)
