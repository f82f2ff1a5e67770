"""Frames of alerts, each made once for all clients of a tenant that have been told equally much."""

from __future__ import annotations

import orjson

from api.state.board import AlertBoard
from headwater.clock import now_ms
from headwater.model.episode import Episode
from headwater.model.topics import ALERTS

KIND = ALERTS.name
"""The frame is named as the topic whose events it tells of."""

MOST = 1_000
"""Episodes in a frame; the counts are of all."""


class AlertFrames:
    """Makes frames from the board. Not thread-safe; lives on the event loop, as the board does."""

    def __init__(self, board: AlertBoard) -> None:
        self._board = board
        self._made_at = -1
        self._frames: dict[tuple[str, int], str] = {}

    def whole(self, tenant: str) -> str:
        """The active alerts of a tenant, at most `MOST`, the last changed first."""
        self._new_tick()
        # No client is at -1: it marks the whole.
        key = (tenant, -1)
        if (made := self._frames.get(key)) is None:
            made = self._frames[key] = self._frame(tenant, self._board.newest(tenant, MOST), whole=True)
        return made

    def since(self, tenant: str, seq: int) -> str:
        """What changed after `seq`, also what was cleared; "" if nothing has.

        If part of it is forgotten, or it is more than `MOST`, the whole.
        """
        self._new_tick()
        key = (tenant, seq)
        made = self._frames.get(key)
        if made is None:
            changed = self._board.since(tenant, seq)
            if changed is None or len(changed) > MOST:
                made = self.whole(tenant)
            else:
                made = self._frame(tenant, changed, whole=False) if changed else ""
            self._frames[key] = made
        return made

    def forget(self) -> None:
        """A tick is over: what was made in it is old."""
        self._frames.clear()

    def _frame(self, tenant: str, episodes: list[Episode], whole: bool) -> str:
        head = {"type": KIND, "sent": now_ms(), "whole": whole}
        head |= {"counts": self._board.counts(tenant), KIND: [shown(each) for each in episodes]}
        return orjson.dumps(head).decode()

    def _new_tick(self) -> None:
        if self._made_at != self._board.seq:
            self.forget()
            self._made_at = self._board.seq


def shown(episode: Episode) -> dict[str, object]:
    """An episode as REST answers it, but for who has acknowledged it. Times are UTC epoch ms."""
    return {
        "alert_id": episode.alert_id,
        "rule": episode.rule,
        "version": episode.version,
        "device": episode.device,
        "metric": episode.metric,
        "severity": episode.severity,
        "worst": episode.worst,
        "start": episode.start,
        "raised": episode.start if episode.raised is None else episode.raised,
        "cleared": episode.cleared,
        "changed": episode.changed,
        "why": episode.why,
        "value": episode.value,
        "level": episode.level,
    }
