"""From the readings of one message to packs: grouped by the set of metrics, cut at the pane and at the cap."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from headwater.model.codec import VERSION
from headwater.model.pack import PANE_MS, Pack

Value: TypeAlias = float | str | bool
Rows: TypeAlias = dict[int, dict[str, Value]]
"""Stamp (epoch ms) -> metric -> value: each (metric, ts) once."""


@dataclass(frozen=True)
class Arrival:
    """Whose message it is, when it came (epoch ms), and the last stamp seen of that device (0: none)."""

    tenant: str
    device: str
    received_ms: int
    last_ms: int = 0


class _Set(NamedTuple):
    """A set of metrics with their kinds, names sorted: what the stamps of one pack have in common."""

    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    flags: tuple[str, ...]


class _Open(NamedTuple):
    """A pack that still takes stamps."""

    pane: int
    carried: _Set
    at: list[int]
    rows: list[dict[str, Value]]


def pack_of_one(arrival: Arrival, ts: int, row: dict[str, Value]) -> Pack:
    """The pack of a single stamp: the short way for the most common message."""
    pane = ts - ts % PANE_MS
    return _packed(arrival, _Open(pane, _set_of(row), [ts - pane], [row]))


def cut(arrival: Arrival, rows: Rows, cap: int) -> tuple[list[Pack], int]:
    """The packs of `rows` in ascending order of their first stamp, and how many readings they hold.

    Every pack lies in one pane, holds at most `cap` stamps, and every metric of it has a value at every stamp.
    """
    sets: dict[tuple[Any, ...], _Set] = {}
    growing: dict[tuple[int, _Set], _Open] = {}
    packs: list[_Open] = []
    readings = 0
    for ts in sorted(rows):
        row = rows[ts]
        if not row:
            continue
        readings += len(row)
        look = (*row, *map(type, row.values()))
        carried = sets.get(look)
        if carried is None:
            carried = sets[look] = _set_of(row)
        pane = ts - ts % PANE_MS
        pack = growing.get((pane, carried))
        if pack is None or len(pack.at) >= cap:
            pack = growing[pane, carried] = _Open(pane, carried, [], [])
            packs.append(pack)
        pack.at.append(ts - pane)
        pack.rows.append(row)
    return [_packed(arrival, pack) for pack in packs], readings


def cut_columns(arrival: Arrival, stamps: list[int], columns: dict[str, list[float]], cap: int) -> list[Pack]:
    """The packs of whole columns of numbers: what `cut` makes of them as rows, without making rows.

    `stamps` (epoch ms) ascend strictly, names of `columns` are sorted, and each has a value at every stamp.
    """
    packs = []
    begin, length = 0, len(stamps)
    while begin < length:
        first = stamps[begin]
        pane = first - first % PANE_MS
        end = min(bisect_left(stamps, pane + PANE_MS, begin), begin + cap)
        found = {name: column[begin:end] for name, column in columns.items()}
        packs.append(_pack(arrival, pane, [ts - pane for ts in stamps[begin:end]], found))
        begin = end
    return packs


def _set_of(row: dict[str, Value]) -> _Set:
    names = sorted(row)
    kinds = {type(value) for value in row.values()}
    if kinds == {float}:
        return _Set(tuple(names), (), ())
    return _Set(
        tuple(name for name in names if type(row[name]) is float),
        tuple(name for name in names if type(row[name]) is str),
        tuple(name for name in names if type(row[name]) is bool),
    )


def _packed(arrival: Arrival, pack: _Open) -> Pack:
    carried, rows = pack.carried, pack.rows

    def columns(names: tuple[str, ...]) -> dict[str, list[Any]]:
        return {name: [row[name] for row in rows] for name in names}

    numbers, texts, flags = (columns(names) for names in carried)
    return _pack(arrival, pack.pane, pack.at, numbers, texts, flags)


def _pack(
    arrival: Arrival,
    pane: int,
    at: list[int],
    numbers: dict[str, list[float]],
    texts: dict[str, list[str]] | None = None,
    flags: dict[str, list[bool]] | None = None,
) -> Pack:
    return Pack(
        v=VERSION,
        tenant=arrival.tenant,
        device=arrival.device,
        pane=pane,
        at=at,
        metrics=numbers,
        texts=texts or {},
        flags=flags or {},
        received=arrival.received_ms,
    )
