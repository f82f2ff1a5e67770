"""Enriched packs beside the log that they were made from: each is there, with the version in force at its log time.

A pack may be there twice, after a failure; its place in the log tells, and both must say the same.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from dataclasses import dataclass, field

import msgspec

from headwater.model import codec
from headwater.model.device import DeviceRecord
from headwater.model.errors import BadRecord
from headwater.model.topics import DEVICE_REGISTRY, ENRICHED, RAW
from headwater.truth.span import Reader, Tail

Place = tuple[int, int]
"""Partition and offset of a pack on `raw-sensor-data`."""
Known = tuple[int | None, str | None]
"""Version of the device and its site; None where it was not registered, or is nowhere."""


class _Row(msgspec.Struct):
    log_partition: int
    log_offset: int
    known_as: int | None = None
    site: str | None = None


@dataclass
class EnrichedTruth:
    """What must be on `enriched-data` of one tenant's packs since `from_ms` (log time, epoch ms), and what is."""

    reader: Reader
    tenant: str
    from_ms: int
    wanted: dict[Place, Known] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._versions: dict[str, list[tuple[int, Known]]] = {}
        self._found: dict[Place, set[Known]] = {}
        self._control, self._tail = Tail(self.reader), Tail(self.reader, self.from_ms)

    def look(self) -> None:
        """Takes in what is new on the log."""
        raw = self._tail.new(RAW.name)
        for entry in self.reader.read(self._control.new(DEVICE_REGISTRY.name)):
            self._take(entry.log_time, entry.value or b"")
        mine = f"{self.tenant}/".encode()
        for entry in self.reader.read(raw):
            if (entry.key or b"").startswith(mine):
                device = (entry.key or b"").decode().partition("/")[2]
                self.wanted[entry.partition, entry.offset] = self._known(device, entry.log_time)

    def difference(self, s: float) -> tuple[list[Place], list[Place]]:
        """(packs that are not there, packs that say something else), after at most `s` seconds."""
        over, mine = time.monotonic() + s, f"{self.tenant}/".encode()
        while True:
            for entry in self.reader.read(self._tail.new(ENRICHED.name)):
                if (entry.key or b"").startswith(mine):
                    row = msgspec.json.decode(entry.value or b"", type=_Row)
                    self._found.setdefault((row.log_partition, row.log_offset), set()).add((row.known_as, row.site))
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
            self._versions.setdefault(record.device, []).append((log_time, (record.version, record.site)))

    def _known(self, device: str, log_time: int) -> Known:
        versions = self._versions.get(device, [])
        place = bisect_right(versions, log_time, key=lambda version: version[0])
        return versions[place - 1][1] if place else (None, None)
