"""What does not balance, and where the log has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from headwater.model.codec import decode
from headwater.model.errors import BadRecord
from headwater.model.pack import PANE_MS, Pack
from headwater.truth.balance import NUMBER, Key, Pane, RawKey, Scope, flaw, minute_of, names_of
from headwater.truth.span import Entry


class Gap(msgspec.Struct, kw_only=True):
    """What does not balance: `expected` readings (or parts of a message) by the log, `found` in the store.

    `minutes` (epoch ms) and `offsets` say where the log has the readings: those that are missing, or all of the pane
    where the store cannot say which.
    """

    store: str
    tenant: str
    device: str
    expected: int
    found: int
    metric: str = ""
    kind: int = NUMBER
    pane: int = 0
    minutes: list[int] = []
    partition: int = -1
    offsets: list[int] = []
    late: bool = False


def compare(expected: Iterable[tuple[Any, int]], found: Mapping[Any, int], store: str) -> list[Gap]:
    """What is not in `found` as the log expects it, by `Key` or `RawKey`."""
    gaps = []
    for key, count in expected:
        if found.get(key, 0) != count:
            gaps.append(gap_of(store, key, count, found.get(key, 0)))
    return gaps


def gap_of(store: str, key: Key | RawKey, expected: int, found: int) -> Gap:
    """A gap of a row of `store`."""
    tenant, device, metric = key[:3]
    kind = key[3] if len(key) == 5 else NUMBER
    return Gap(
        store=store,
        tenant=tenant,
        device=device,
        metric=metric,
        kind=kind,
        pane=key[-1],
        expected=expected,
        found=found,
    )


MOST_OFFSETS = 20
"""Offsets that a gap names."""


class Places:
    """Where the log has the first copies of the readings of some panes: a second reading, for naming gaps."""

    def __init__(self, gaps: Iterable[Gap], scope: Scope) -> None:
        self._scope = scope
        self._first: dict[RawKey, dict[int, Entry]] = {
            (gap.tenant, gap.device, gap.metric, gap.kind, gap.pane): {} for gap in gaps
        }
        self._panes = {(key[0], key[1], key[4]) for key in self._first}
        self._late: set[Pane] = set()

    def take(self, entry: Entry) -> None:
        """Takes one record in; those of other panes are passed over."""
        try:
            pack = decode(Pack, entry.value or b"")
        except BadRecord:
            return
        pane = (pack.tenant, pack.device, pack.pane)
        if pane not in self._panes or flaw(pack, self._scope.cap):
            return
        if entry.log_time > pack.pane + PANE_MS + self._scope.horizon_ms:
            self._late.add(pane)
        place = entry._replace(value=None, key=None)
        for kind, metric in names_of(pack):
            first = self._first.get((pack.tenant, pack.device, metric, kind, pack.pane))
            if first is not None:
                for at in pack.at:
                    first.setdefault(pack.pane + at, place)

    def name(self, gap: Gap, held: set[int] | None = None) -> Gap:
        """The gap with its places; `held` are the stamps that the store has, where it can say."""
        first = self._first[gap.tenant, gap.device, gap.metric, gap.kind, gap.pane]
        missing = {ts: place for ts, place in first.items() if held is None or ts not in held}
        places = sorted({(place.partition, place.offset) for place in missing.values()})
        gap.minutes = sorted({minute_of(place.log_time) for place in missing.values()}) or [minute_of(gap.pane)]
        gap.partition = places[0][0] if places else -1
        gap.offsets = [offset for _, offset in places[:MOST_OFFSETS]]
        gap.late = (gap.tenant, gap.device, gap.pane) in self._late
        return gap
