"""Enriched packs beside the log that they were made from: each is there, with what the registry said at its log time.

A pack may be there twice, after a failure; its place in the log tells, and both must say the same.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from headwater.model import codec
from headwater.model.device import DeviceRecord, MetricOfModel
from headwater.model.errors import BadRecord
from headwater.model.topics import DEVICE_REGISTRY, ENRICHED, RAW
from headwater.truth.span import Reader, Tail

Place = tuple[int, int]
"""Partition and offset of a pack on `raw-sensor-data`."""


class Known(NamedTuple):
    """All that an enriched pack says of its device; without a version, it was not registered. Of no list: None."""

    version: int | None = None
    kind: str | None = None
    site: str | None = None
    zone: str | None = None
    model: str | None = None
    tags: tuple[str, ...] | None = None
    described: tuple[tuple[str, MetricOfModel], ...] | None = None


class Enriched(msgspec.Struct, frozen=True):
    """The columns of a record on `enriched-data` that its pack does not have."""

    log_partition: int
    log_offset: int
    known_as: int | None = None
    kind: str | None = None
    site: str | None = None
    zone: str | None = None
    model: str | None = None
    tags: list[str] | None = None
    described: dict[str, MetricOfModel] | None = None

    @property
    def place(self) -> Place:
        """Where its pack lies in the log."""
        return self.log_partition, self.log_offset

    @property
    def known(self) -> Known:
        """What it says of its device."""
        tags = None if self.tags is None else tuple(self.tags)
        return Known(self.known_as, self.kind, self.site, self.zone, self.model, tags, _by_name(self.described))


def known_as(record: DeviceRecord) -> Known:
    """What a pack must say of its device while `record` is in force."""
    tags, described = tuple(record.tags), _by_name(record.metrics)
    return Known(record.version, record.kind, record.site, record.zone, record.model, tags, described)


def _by_name(metrics: Mapping[str, MetricOfModel] | None) -> tuple[tuple[str, MetricOfModel], ...] | None:
    return None if metrics is None else tuple(sorted(metrics.items()))


class Versions:
    """What was said of each device, and when."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], tuple[list[int], list[Known]]] = {}

    def take(self, record: DeviceRecord, log_time: int) -> None:
        """Takes one record in; those of a device come in their order. `log_time` is UTC epoch ms."""
        times, known = self._said.setdefault((record.tenant, record.device), ([], []))
        times.append(log_time)
        known.append(known_as(record))

    def at(self, tenant: str, device: str, log_time: int) -> Known:
        """What was in force: the newest that is not after `log_time`."""
        times, known = self._said.get((tenant, device), ([], []))
        before = bisect_right(times, log_time)
        return known[before - 1] if before else Known()


@dataclass
class EnrichedTruth:
    """What must be on `enriched-data` of one tenant's packs since `from_ms` (log time, epoch ms), and what is.

    `prefix` stands before the names of the topics.
    """

    reader: Reader
    tenant: str
    from_ms: int
    prefix: str = ""
    wanted: dict[Place, Known] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._versions = Versions()
        self._found: dict[Place, set[Known]] = {}
        self._control, self._tail = Tail(self.reader), Tail(self.reader, self.from_ms)

    def look(self) -> None:
        """Takes in what is new on the log."""
        raw = self._tail.new(self.prefix + RAW.name)
        for entry in self.reader.read(self._control.new(self.prefix + DEVICE_REGISTRY.name)):
            self._take(entry.log_time, entry.value or b"")
        mine = f"{self.tenant}/".encode()
        for entry in self.reader.read(raw):
            if (entry.key or b"").startswith(mine):
                device = (entry.key or b"").decode().partition("/")[2]
                self.wanted[entry.partition, entry.offset] = self._versions.at(self.tenant, device, entry.log_time)

    def difference(self, s: float) -> tuple[list[Place], list[Place]]:
        """(packs that are not there, packs that say something else), after at most `s` seconds."""
        over, mine = time.monotonic() + s, f"{self.tenant}/".encode()
        while True:
            for entry in self.reader.read(self._tail.new(self.prefix + ENRICHED.name)):
                if (entry.key or b"").startswith(mine):
                    row = msgspec.json.decode(entry.value or b"", type=Enriched)
                    self._found.setdefault(row.place, set()).add(row.known)
            missing = [place for place in self.wanted if place not in self._found]
            if not missing or time.monotonic() > over:
                wrong = [one for one, known in self.wanted.items() if self._found.get(one, {known}) != {known}]
                return missing, wrong
            time.sleep(0.5)

    def _take(self, log_time: int, value: bytes) -> None:
        try:
            record = codec.decode(DeviceRecord, value)
        except BadRecord:
            return
        if record.tenant == self.tenant:
            self._versions.take(record, log_time)
