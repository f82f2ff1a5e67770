"""The live core: the newest row of every series and a bounded memory of what changed, with positions.

It is a plain data structure without clock, thread or I/O, folded by one feed and read by every client. Three
things hold, whatever the order, repeats and restarts of the log:

- **a row never moves backwards**: a lower or equal (generation, count) of a (device, metric, pane) changes nothing;
- **no gap**: whoever has seen everything up to a `seq` or cursor that is still remembered is told all that changed
  since, coalesced to the newest version of each (device, metric, pane);
- **no repeat**: and is told nothing else. What is forgotten is answered with None, never with a part.

Of a pane that is neither the newest nor remembered, no version is known: its next row is passed on as it comes.
Rows of a rebuild wait until it has caught up (`headwater.model.generation`), but for those of panes that are new.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Mapping

from api.state import cursor as cursors
from api.state.cursor import Positions
from api.state.held import HeldRows
from api.state.rows import Change, Device, Subscription
from headwater.model.generation import epoch, marked
from headwater.model.pack import PULSE_TENANT, Aggregate

_MARKS = 4_096
"""Ticks whose positions are remembered (17 min of 250 ms): a resume further back walks the whole memory."""


class LiveLog:
    """Folds `processed-data`; answers what is newest, what changed since, and where a cursor stands.

    `bound` is the most changes remembered; `partitions` is how many partitions of raw data must have beaten before
    log time is known.
    """

    def __init__(self, bound: int, partitions: int) -> None:
        self._bound = bound
        self._partitions = partitions
        self._changes: deque[Change] = deque()
        self._alive = 0
        self._marks: list[tuple[int, Positions]] = []
        self._names: dict[str, list[str]] = {}
        self._log_times: dict[str, int] = {}
        self._held = HeldRows(bound, partitions)
        self.tenants: dict[str, dict[str, Device]] = {}
        self.positions: Positions = {}
        self.floors: Positions = {}
        self.seq = 0
        self.floor_seq = 0
        self.readings = 0

    def begin(self, starts: Mapping[int, int]) -> None:
        """The feed reads from `starts` on; what lies before is not remembered."""
        self.positions = dict(starts)
        self.floors = dict(starts)

    def fold(self, partition: int, offset: int, row: Aggregate) -> Change | None:
        """Takes in the record at `offset`; the change it made, or None if it says nothing new."""
        if offset < self.positions.get(partition, 0):
            # The log goes backwards only when the topic was made anew: cursors of before mean nothing now.
            self._forget()
            self.floors = {**self.positions, partition: offset}
        self.positions[partition] = offset + 1
        if (marker := marked(row)) is not None:
            self._held.take(*marker, place=(partition, offset))
            return None
        if row.tenant == PULSE_TENANT:
            self._log_times[row.device] = max(row.as_of, self._log_times.get(row.device, 0))
            return None
        device = self._device(row.tenant, row.device)
        key = (row.metric, row.pane)
        newest = device.latest.get(row.metric)
        held = device.recent.get(key)
        known = held or (
            newest if newest is not None and newest.cells.pane == row.pane and newest.offset >= 0 else None
        )
        if known is not None and row.version <= known.version:
            return None
        if self._held.holds(row.generation) and _is_hidden(row, held or newest):
            self._held.put(row)
            return None
        return self._change(device, row, partition, offset, known)

    def release(self) -> list[Change]:
        """The changes that a marker made: rows that waited for it, in the order of their panes."""
        changes = []
        for row in self._held.released():
            device = self._device(row.tenant, row.device)
            known = device.recent.get((row.metric, row.pane))
            if known is None or row.version > known.version:
                # Where the marker stands: whoever comes back from before it is told of them.
                changes.append(self._change(device, row, *self._held.place, known))
        if self._held.overflowed():
            self._forget()
        return changes

    def _change(self, device: Device, row: Aggregate, partition: int, offset: int, known: Change | None) -> Change:
        key = (row.metric, row.pane)
        held, newest = device.recent.get(key), device.latest.get(row.metric)
        self.seq += 1
        change = Change(device, row, partition, offset, self.seq)
        if not device.fleet:
            self.readings += max(0, row.count - known.cells.count) if known is not None else row.count
        if held is not None:
            held.superseded = True
            self._alive -= 1
            del device.recent[key]
        device.recent[key] = change
        if newest is None or change.age >= newest.age:
            device.latest[row.metric] = change
        device.received = max(device.received, row.received)
        self._changes.append(change)
        self._alive += 1
        self._trim()
        return change

    def skip(self, partition: int, offset: int) -> None:
        """Passes the record at `offset`, which is no row (a tombstone, or bytes that nobody understands)."""
        self.positions[partition] = max(offset + 1, self.positions.get(partition, 0))

    def seed(self, row: Aggregate) -> None:
        """Takes `row` from a store as what was newest before the feed's start; it is no change and has no position."""
        if row.tenant == PULSE_TENANT:
            return
        device = self._device(row.tenant, row.device)
        change = Change(device, row, -1, -1, 0)
        newest = device.latest.get(row.metric)
        if newest is None or change.age > newest.age:
            device.latest[row.metric] = change
            device.received = max(device.received, row.received)

    def mark(self) -> None:
        """Remembers at the end of a tick where the log stood, which makes resuming quick."""
        if self._marks and self._marks[-1][0] == self.seq:
            self._marks.pop()
        self._marks.append((self.seq, dict(self.positions)))
        if len(self._marks) > 2 * _MARKS:
            del self._marks[:_MARKS]

    @property
    def cursor(self) -> str:
        """Where the log is folded up to, for a client to come back with."""
        return cursors.write(self.positions)

    @property
    def log_time(self) -> int | None:
        """Log time (epoch ms) that every raw partition has passed; None until each has beaten."""
        return min(self._log_times.values()) if len(self._log_times) >= self._partitions else None

    @property
    def remembered(self) -> int:
        """Changes in memory, at most `bound`."""
        return self._alive

    def newest(self, subscription: Subscription) -> list[Change]:
        """The newest row of each series of `subscription`: a snapshot."""
        return [change for device in self._devices(subscription) for change in device.latest.values()]

    def since(self, subscription: Subscription, seq: int) -> list[Change] | None:
        """What changed after `seq`, oldest first within a device; None if part of it is forgotten."""
        if seq < self.floor_seq:
            return None
        if seq >= self.seq:
            return []
        found = list(self._walk(subscription, seq))
        found.reverse()
        return found

    def resume(self, subscription: Subscription, positions: Positions) -> list[Change] | None:
        """What changed at or after `positions`; None if part of it is forgotten, or they are not of this log."""
        if positions.keys() != self.positions.keys():
            return None
        if any(not self.floors[p] <= offset <= self.positions[p] for p, offset in positions.items()):
            return None
        ahead = bisect_left(
            self._marks, True, key=lambda mark: any(mark[1].get(p, 0) > offset for p, offset in positions.items())
        )
        seq = self._marks[ahead - 1][0] if ahead else 0
        found = [change for change in self._walk(subscription, seq) if change.offset >= positions[change.partition]]
        found.reverse()
        return found

    def names(self, tenant: str) -> list[str]:
        """Devices of `tenant` that have a row, in order of code points."""
        names = self._names.get(tenant)
        if names is None:
            known = self.tenants.get(tenant, {})
            names = self._names[tenant] = sorted(name for name, device in known.items() if not device.fleet)
        return names

    def fleets(self, tenant: str) -> list[str]:
        """Sites and models of `tenant` that have a row, by the names of their rows."""
        return sorted(name for name, device in self.tenants.get(tenant, {}).items() if device.fleet)

    def active(self, since_ms: int) -> int:
        """How many devices had something received at or after `since_ms`."""
        devices = (device for known in self.tenants.values() for device in known.values() if not device.fleet)
        return sum(device.received >= since_ms for device in devices)

    def _device(self, tenant: str, name: str) -> Device:
        devices = self.tenants.setdefault(tenant, {})
        device = devices.get(name)
        if device is None:
            device = devices[name] = Device(tenant, name)
            self._names.pop(tenant, None)
        return device

    def _devices(self, subscription: Subscription) -> Iterator[Device]:
        devices = self.tenants.get(subscription.tenant, {})
        if subscription.devices is None:
            return (device for device in devices.values() if not device.fleet)
        return (devices[name] for name in sorted(subscription.devices) if name in devices)

    def _walk(self, subscription: Subscription, seq: int) -> Iterator[Change]:
        """Changes after `seq`, newest first."""
        if subscription.devices is None:
            for change in reversed(self._changes):
                if change.seq <= seq:
                    break
                device = change.device
                if not change.superseded and device.tenant == subscription.tenant and not device.fleet:
                    yield change
            return
        for device in self._devices(subscription):
            for change in reversed(device.recent.values()):
                if change.seq <= seq:
                    break
                yield change

    def _trim(self) -> None:
        while self._alive > self._bound:
            oldest = self._changes.popleft()
            if oldest.superseded:
                continue
            self._alive -= 1
            del oldest.device.recent[(oldest.cells.metric, oldest.cells.pane)]
            self.floor_seq = oldest.seq
            self.floors[oldest.partition] = max(oldest.offset + 1, self.floors.get(oldest.partition, 0))
        if len(self._changes) > 2 * self._alive + 1_024:
            self._changes = deque(change for change in self._changes if not change.superseded)

    def _forget(self) -> None:
        self._changes.clear()
        self._marks.clear()
        self._alive = 0
        self.seq += 1
        self.floor_seq = self.seq
        for devices in self.tenants.values():
            for device in devices.values():
                device.recent.clear()


def _is_hidden(row: Aggregate, known: Change | None) -> bool:
    """Whether a row of an epoch that is not shown yet may stand where a row of a lower one was seen.

    `known` is the row of that very pane, or else the newest of the series.
    """
    if known is None or known.cells.pane > row.pane:
        return True
    return known.cells.pane == row.pane and epoch(known.generation) < epoch(row.generation)
