"""When publishers are let in: the back-pressure that keeps the broker from ever dropping what it has acknowledged."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from headwater.model.disk import Water


class Closed(Enum):
    """Why publishers are refused. The value is what they are told."""

    NO_SESSION = "the bridge has not subscribed yet; try again in a moment"
    QUEUE = "too many messages wait to be stored; send them again later"
    AWAY = "the bridge has been away for too long; send again later"
    DISK = "the disk is nearly full (HEADWATER_LOW_DISK_MB); send again when there is room"


@dataclass(frozen=True)
class Look:
    """What was seen: the bridge (has it subscribed, is it there, what waits for it), and the room on the disk."""

    subscribed: bool
    connected: bool
    queued: int
    free_mb: int = 1 << 40


PAUSE_MS = 10_000
"""Longest time in which nothing is read from publishers: well below the keep-alive of usual clients (60 s)."""


class Gate:
    """Open or closed for publishers, from what is seen of the bridge; before it closes, it pauses them.

    Paused (nothing is read from their sockets, so nothing is acknowledged, and they wait) while the bridge is there and
    more than three quarters of `limit` wait, until a fiftieth has gone: a load that is too much for the bridge is
    slowed to its pace. To send all away would bring all back at once.

    Closed until the bridge has subscribed once (a message that nobody subscribes to would be acknowledged and lost),
    when more than `limit` messages wait, and when the bridge has been away for longer than `away_ms`. Once closed for
    one of the latter two it opens only when the bridge is there and has drained the queue below half the limit, so that
    it does not flutter. Closed also while the disk has less room than `low_disk_mb`, before anything breaks of it.
    """

    def __init__(self, limit: int, away_ms: int, low_disk_mb: int = 0) -> None:
        self.closed: Closed | None = Closed.NO_SESSION
        self._limit = limit
        self._away_ms = away_ms
        self._water = Water(low_disk_mb)
        self._seen_ms: int | None = None
        self.paused = False
        self._paused_ms = 0

    def update(self, look: Look, now_ms: int) -> bool:
        """Takes a look at a monotonic time in ms; returns true if this closed or opened the gate."""
        if look.connected or self._seen_ms is None:
            self._seen_ms = now_ms
        before = self.closed
        self.closed = self._decide(look, now_ms - self._seen_ms)
        self.paused = self.closed is None and self._pauses(look, now_ms)
        return (before is None) != (self.closed is None)

    def _decide(self, look: Look, away_ms: int) -> Closed | None:
        if not look.subscribed:
            return Closed.NO_SESSION
        if self._water.low(look.free_mb):
            return Closed.DISK
        if look.queued > self._limit:
            return Closed.QUEUE
        if away_ms > self._away_ms:
            return Closed.AWAY
        drained = look.connected and look.queued * 2 < self._limit
        if self.closed in (Closed.QUEUE, Closed.AWAY) and not drained:
            return self.closed
        return None

    def _pauses(self, look: Look, now_ms: int) -> bool:
        full = self._limit * 3 // 4
        if not self.paused:
            self._paused_ms = now_ms
            return look.connected and look.queued > full
        # After the longest pause one look's time is read, in which keep-alives are answered too.
        return look.connected and look.queued > full - self._limit // 50 and now_ms - self._paused_ms < PAUSE_MS
