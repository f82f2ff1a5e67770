"""Where each device belonged, and from when on, into ClickHouse: beside the readings, which are folded by it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from connectors.sinks.raw_sink import RawSink
from headwater.model import codec
from headwater.model.codec import device_key
from headwater.model.device import DeviceRecord
from headwater.model.pack import PULSE_TENANT
from headwater.model.settings import SinkSettings
from headwater.model.stores import DEVICE_PLACES, PLACE_POSITIONS
from headwater.model.topics import DEVICE_REGISTRY

_EVERY_MS = 2_000
_BEAT = device_key(PULSE_TENANT, "")
_COLUMNS = ("tenant", "device", "log_time", "log_offset", "site", "model")


class Said(NamedTuple):
    """A record where it lies on the log, None for a beat. `log_time` is UTC epoch ms."""

    partition: int
    offset: int
    log_time: int
    record: DeviceRecord | None

    @property
    def device(self) -> tuple[str, str]:
        """(tenant, device)."""
        return ("", "") if self.record is None else (self.record.tenant, self.record.device)

    @property
    def place(self) -> tuple[str, str]:
        """(site, model), empty where there is none."""
        return ("", "") if self.record is None else (self.record.site or "", self.record.model or "")


class Places:
    """What one insert consists of: places, and how far each partition is once they are stored."""

    def __init__(self, said: list[Said] | None = None, positions: dict[int, int] | None = None) -> None:
        self.said = said or []
        self.positions = positions or {}
        self.log_times: dict[int, int] = {}

    def items(self) -> list[Said]:
        """The records."""
        return self.said

    def without_items(self) -> Places:
        """The positions alone."""
        rest = Places([], self.positions)
        rest.log_times = self.log_times
        return rest


class PlaceSink(RawSink):
    """Records of `device-registry` into `device_place`, those that say of a device what was not said before.

    A flush is an insert of the places and then one of the positions. What is read twice is inserted twice at the same
    place in the log, and folded. Memory is a small tuple for each device.
    """

    topic = DEVICE_REGISTRY
    name = "sink-places"
    every_ms = _EVERY_MS

    def __init__(self, settings: SinkSettings) -> None:
        super().__init__(settings)
        self._known: dict[tuple[str, str], tuple[str, str]] = {}

    def batch(self) -> Places:
        """An empty one."""
        return Places()

    def decode(self, message: Any) -> Said:
        """The record, or a beat of the pulse. Raises `BadRecord`."""
        beat = (message.key() or b"").startswith(_BEAT)
        record = None if beat else codec.decode(DeviceRecord, message.value())
        return Said(message.partition(), message.offset(), message.timestamp()[1], record)

    def letter(self, item: Said) -> tuple[bytes, str, str]:
        """The record with the names in it."""
        return (codec.encode(item.record) if item.record else b"", *item.device)

    def positions(self) -> dict[int, int]:
        """What `place_position` holds for this very log; recalls what was said last of each device."""
        client = self._client()
        found = client.query(
            "select tenant, device, argMax((site, model), (log_time, log_offset))"  # noqa: S608  # a constant
            f" from {DEVICE_PLACES} group by tenant, device"
        )
        self._known = {(row[0], row[1]): (row[2][0], row[2][1]) for row in found.result_rows}
        held = client.query(
            f"select log_partition, max(next_offset) from {PLACE_POSITIONS}"  # noqa: S608  # a constant
            " where log_id = {log_id:String} group by log_partition",
            {"log_id": self.log_id},
        )
        return {int(row[0]): int(row[1]) for row in held.result_rows}

    def write(self, rows: Iterable[Said], positions: dict[int, int]) -> None:
        """Take records, and the next offset to read of each partition. Holds them until a flush."""
        for said in rows:
            if said.record is not None and self._known.get(said.device, ("", "")) != said.place:
                self._known[said.device] = said.place
                self.pending.said.append(said)
            self.pending.log_times[said.partition] = said.log_time
        self.pending.positions.update(positions)

    def store(self, batch: Places) -> None:
        """The places, then the positions."""
        client = self._client()
        if batch.said:
            rows = [[*one.device, one.log_time, one.offset, *one.place] for one in batch.said]
            client.insert(DEVICE_PLACES, rows, column_names=_COLUMNS)
        self._insert_positions(PLACE_POSITIONS, batch.positions, batch.log_times)
