"""Corrections that wait, put together so that a device's panes are read once and not once a correction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from headwater.model.codec import VERSION
from headwater.model.pack import PANE_MS, Correction
from headwater.raw.panes import PaneKey, PaneSpan

MOST_SPANS = 2_000
"""Most spans of a read: the text of the query stays below what ClickHouse takes (256 KiB)."""

_SPAN_BYTES = 100_000
_DAY_MS = 86_400_000


@dataclass
class Read:
    """One query of the raw store: panes of some devices, and the rows among them that were asked for."""

    spans: list[PaneSpan] = field(default_factory=list)
    metrics: set[str] = field(default_factory=set)
    wanted: set[PaneKey] = field(default_factory=set)
    asked: list[Correction] = field(default_factory=list)


class Waiting:
    """Corrections read and not yet worked off; `positions` of their topic may be committed once they are.

    Memory is that of the corrections added: the caller stops adding. A pane that was named a hundred times is one pane.
    """

    def __init__(self) -> None:
        self.positions: dict[int, int] = {}
        """Next offset to read of each partition of `corrections`."""
        self.needed: dict[int, int] = {}
        """The largest log position named, of each partition of the raw log."""
        self.log_time = 0
        """The largest log time (epoch ms) named."""
        self.count = 0
        self._devices: dict[tuple[str, str], dict[int, list[Correction]]] = {}

    def add(self, one: Correction) -> None:
        """Take a correction in."""
        panes = self._devices.setdefault((one.tenant, one.device), {})
        panes.setdefault(one.pane, []).append(one)
        self.needed[one.partition] = max(one.offset, self.needed.get(one.partition, -1))
        self.log_time = max(self.log_time, one.log_time)
        self.count += 1

    def want(self, key: PaneKey, log_time: int = 0) -> None:
        """Take in a row that is wanted for itself; no position of the log is waited for."""
        tenant, device, metric, pane = key
        self.add(
            Correction(
                v=VERSION,
                tenant=tenant,
                device=device,
                pane=pane,
                metrics=[metric],
                partition=0,
                offset=0,
                log_time=log_time,
            )
        )

    def drop(self, partition: int, first_offset: int) -> list[Correction]:
        """Take out, and return, those that name a position of `partition` from `first_offset` on."""
        dropped = []
        for device, panes in list(self._devices.items()):
            for pane, asked in list(panes.items()):
                gone = [one for one in asked if one.partition == partition and one.offset >= first_offset]
                if not gone:
                    continue
                dropped += gone
                panes[pane] = [one for one in asked if one not in gone]
                if not panes[pane]:
                    del panes[pane]
            if not panes:
                del self._devices[device]
        self.count -= len(dropped)
        left = [one for panes in self._devices.values() for asked in panes.values() for one in asked]
        self.log_time = max((one.log_time for one in left), default=0)
        self.needed.pop(partition, None)
        if offsets := [one.offset for one in left if one.partition == partition]:
            self.needed[partition] = max(offsets)
        return dropped

    def reads(self, most_rows: int) -> Iterator[Read]:
        """All that waits, cut into reads of at most `most_rows` rows (or one pane, if it alone has more).

        By device and in the order of panes, so that neighbours share a span, and by day, so that a read of one device's
        last minute and another's last month does not span a month.
        """
        read = Read()
        size = 0
        for day, tenant, device in self._days():
            for pane in sorted(self._devices[tenant, device]):
                if pane // _DAY_MS != day:
                    continue
                asked = self._devices[tenant, device][pane]
                metrics = {metric for one in asked for metric in one.metrics}
                full = len(read.wanted) + len(metrics) > most_rows or size > _SPAN_BYTES
                if read.spans and (full or len(read.spans) >= MOST_SPANS or read.spans[-1].first // _DAY_MS != day):
                    yield read
                    read, size = Read(), 0
                size += _extend(read.spans, tenant, device, pane) + sum(map(len, metrics - read.metrics))
                read.metrics |= metrics
                read.wanted.update((tenant, device, metric, pane) for metric in metrics)
                read.asked += asked
        if read.spans:
            yield read

    def _days(self) -> list[tuple[int, str, str]]:
        found = {
            (pane // _DAY_MS, tenant, device) for (tenant, device), panes in self._devices.items() for pane in panes
        }
        return sorted(found)


def _extend(spans: list[PaneSpan], tenant: str, device: str, pane: int) -> int:
    """Make the last span reach over `pane`, or begin another; returns the length of the text that this adds."""
    if spans and spans[-1] == (tenant, device, spans[-1].first, pane):
        spans[-1] = spans[-1]._replace(end=pane + PANE_MS)
        return 0
    spans.append(PaneSpan(tenant, device, pane, pane + PANE_MS))
    return len(tenant) + len(device) + 48
