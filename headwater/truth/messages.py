"""Messages and the records that they became: none may be there in part, and no bad record without its dead letter.

A message whose sender was not acknowledged may rightly be there in part: its door was killed before it had written the
rest, and the broker delivers the message again. So a part is only called missing once the doors have written other
records of that tenant for a while: what a broker delivers again comes before anything new.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from headwater.model.codec import decode
from headwater.model.errors import BadRecord
from headwater.model.message import Part, part_of
from headwater.model.pack import DeadLetter, Pack
from headwater.model.topics import DEAD_LETTER
from headwater.truth.balance import Scope, minute_of
from headwater.truth.gaps import MOST_OFFSETS, Gap
from headwater.truth.span import Entry

QUIET_MS = 10_000
"""How long doors must have gone on writing before a part that has not come is missing."""

JOB = "aggregation"
"""The door that dead letters of the aggregation job name."""
_PLACE = re.compile(r" in partition (\d+), offset (\d+)")


@dataclass
class _Open:
    """A message of which not all parts were seen."""

    seen: set[int]
    newest: int
    key: bytes
    partition: int
    offsets: list[int]


@dataclass
class Messages:
    """Takes records and dead letters of the doors in, in any order."""

    scope: Scope
    whole: int = 0
    """Deliveries of messages that are there with all their parts, by their last part."""
    records: int = 0
    letters: int = 0
    unmarked: int = 0
    """Records that name no message: written before the header existed, past the doors, or promised nothing."""
    _open: dict[tuple[bytes, int], _Open] = field(default_factory=dict)
    _done: set[bytes] = field(default_factory=set)
    _active: dict[bytes, int] = field(default_factory=dict)

    def record(self, entry: Entry) -> None:
        """Takes a record of the log in (not a pulse)."""
        judged = self.scope.judged(entry.log_time)
        self.records += judged
        part = part_of(entry.headers)
        if part is None:
            self.unmarked += judged
            return
        tenant = (entry.key or b"").split(b"/")[0]
        if entry.log_time <= self.scope.true_ms - QUIET_MS:
            self._active[tenant] = max(entry.log_time, self._active.get(tenant, 0))
        self._part(part, entry, entry.offset)

    def letter(self, entry: Entry) -> None:
        """Takes a dead letter in; only those of doors are parts of messages."""
        part = part_of(entry.headers)
        if part is not None:
            self.letters += self.scope.judged(entry.log_time)
            self._part(part, entry, None)

    def _part(self, part: Part, entry: Entry, offset: int | None) -> None:
        judged = self.scope.judged(entry.log_time)
        if part.count == 1:
            self.whole += judged
            return
        known = self._open.get((part.message, part.count))
        if known is None:
            known = self._open[part.message, part.count] = _Open(set(), 0, entry.key or b"", -1, [])
        known.seen.add(part.index)
        known.newest = max(known.newest, entry.log_time)
        if offset is not None:
            known.partition = entry.partition
            known.offsets.append(offset)
        if len(known.seen) == part.count:
            self.whole += judged
            self._done.add(part.message)
            del self._open[part.message, part.count]

    def gaps(self) -> list[Gap]:
        """Messages of which a part is missing."""
        found = []
        for (message, count), one in self._open.items():
            tenant, _, device = one.key.decode(errors="replace").partition("/")
            settled = self._active.get(tenant.encode(), 0) >= one.newest + QUIET_MS
            if settled and self.scope.judged(one.newest) and message not in self._done:
                found.append(
                    Gap(
                        store="messages",
                        tenant=tenant,
                        device=device,
                        expected=count,
                        found=len(one.seen),
                        minutes=[minute_of(one.newest)],
                        partition=one.partition,
                        offsets=sorted(one.offsets)[:MOST_OFFSETS],
                    )
                )
        return found


@dataclass
class Letters:
    """Dead letters of the job, against the records that it must have refused."""

    topic: str
    _places: set[tuple[int, int]] = field(default_factory=set)

    def letter(self, entry: Entry) -> None:
        """Takes a dead letter in."""
        try:
            letter = decode(DeadLetter, entry.value or b"")
        except BadRecord:
            return
        if letter.door == JOB and letter.topic == self.topic and (place := _PLACE.search(letter.detail)):
            self._places.add((int(place[1]), int(place[2])))

    def gaps(self, bad: list[Entry]) -> tuple[list[Gap], int]:
        """Bad records without their letter, and how many records nobody can read: the job passes over those."""
        found, unreadable = [], 0
        for entry in bad:
            if (entry.partition, entry.offset) in self._places:
                continue
            try:
                pack = decode(Pack, entry.value or b"")
            except BadRecord:
                unreadable += 1
                continue
            found.append(
                Gap(
                    store=DEAD_LETTER.name,
                    tenant=pack.tenant,
                    device=pack.device,
                    expected=1,
                    found=0,
                    pane=pack.pane,
                    minutes=[minute_of(entry.log_time)],
                    partition=entry.partition,
                    offsets=[entry.offset],
                )
            )
        return found, unreadable
