"""Live frames, each made once for all who want the same: rows become columns, columns become JSON, JSON is shared.

Three things are shared within a tick, and dropped at its end: a whole frame between clients with equal subscriptions
and equal progress; the part of one device between subscriptions that overlap; and one status between everybody.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from api.state.cursor import Positions
from api.state.live import LiveLog
from api.state.rows import Cells, Change, Subscription
from headwater.clock import now_ms

_NAMES = Cells._fields
_KEYS = [orjson.dumps(name) + b":[" for name in _NAMES]
_EMPTY = [b""] * len(_NAMES)


class Frames:
    """Makes frames from the live core. Not thread-safe; lives on the event loop, as the core does."""

    def __init__(self, live: LiveLog) -> None:
        self._live = live
        self._made_at = -1
        self._frames: dict[tuple[Subscription, int], str] = {}
        self._parts: dict[tuple[str, str, int], list[bytes]] = {}

    def snapshot(self, subscription: Subscription) -> str:
        """The newest row of each series that `subscription` wants."""
        self._new_tick()
        # No client is at -1: it marks the snapshot.
        key = (subscription, -1)
        if (made := self._frames.get(key)) is None:
            columns = _columns(self._live.newest(subscription))
            made = self._frames[key] = self._frame("snapshot", columns, resumed=False)
        return made

    def since(self, subscription: Subscription, seq: int) -> str | None:
        """What changed after `seq`; "" if nothing has, None if part of it is forgotten."""
        if seq < self._live.floor_seq:
            return None
        self._new_tick()
        key = (subscription, seq)
        made = self._frames.get(key)
        if made is None:
            columns = self._changed(subscription, seq)
            made = self._frames[key] = self._frame("rows", columns) if columns[0] else ""
        return made

    def resume(self, subscription: Subscription, positions: Positions) -> str | None:
        """What changed from `positions` on, even if that is nothing; None if part of it is forgotten."""
        changes = self._live.resume(subscription, positions)
        return None if changes is None else self._frame("rows", _columns(changes), resumed=True)

    def nothing(self, subscription: Subscription) -> str:
        """No rows, but the place in the log: a silent device must not let its viewers' cursors grow old."""
        key = (subscription, -2)
        if (made := self._frames.get(key)) is None:
            made = self._frames[key] = self._frame("rows", _EMPTY)
        return made

    def forget(self) -> None:
        """A tick is over: what was made in it is old."""
        self._frames.clear()
        self._parts.clear()

    def _changed(self, subscription: Subscription, seq: int) -> list[bytes]:
        if subscription.devices is None:
            return _columns(self._live.since(subscription, seq) or ())
        parts = [self._part(subscription.tenant, name, seq) for name in subscription.devices]
        parts = [part for part in parts if part[0]]
        if not parts:
            return _EMPTY
        return parts[0] if len(parts) == 1 else [b",".join(column) for column in zip(*parts, strict=True)]

    def _part(self, tenant: str, name: str, seq: int) -> list[bytes]:
        key = (tenant, name, seq)
        part = self._parts.get(key)
        if part is None:
            only = Subscription(tenant, frozenset((name,)))
            part = self._parts[key] = _columns(self._live.since(only, seq) or ())
        return part

    def _frame(self, kind: str, columns: list[bytes], **more: object) -> str:
        head = {
            "type": kind,
            "cursor": self._live.cursor,
            "sent": now_ms(),
            "log_time": self._live.log_time,
            **more,
        }
        body = b"],".join(key + column for key, column in zip(_KEYS, columns, strict=True))
        return (orjson.dumps(head)[:-1] + b',"columns":{' + body + b"]}}").decode()

    def _new_tick(self) -> None:
        if self._made_at != self._live.seq:
            self.forget()
            self._made_at = self._live.seq


def _columns(changes: Sequence[Change]) -> list[bytes]:
    """Each column's values as JSON, without its brackets."""
    if not changes:
        return _EMPTY
    return [orjson.dumps(column)[1:-1] for column in zip(*(change.cells for change in changes), strict=True)]
