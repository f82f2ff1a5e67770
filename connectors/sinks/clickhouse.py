"""The way into ClickHouse: every reading as it was, with its place in the log. ClickHouse takes the records apart."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import structlog
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from connectors.sinks.consume import run
from connectors.sinks.places import PlaceSink
from connectors.sinks.raw_sink import RawSink
from connectors.sinks.retention import Retention
from headwater.model import codec
from headwater.model.errors import BadRecord
from headwater.model.pack import Pack
from headwater.model.settings import SinkSettings
from headwater.model.stores import RAW_LOGS, RAW_POSITIONS, RAW_RECORDS, RAW_REFUSED
from headwater.model.topics import RAW
from headwater.raw import client as raw
from headwater.varint import varint

PROCESS = {
    "says": "raw readings, and where devices belonged, into ClickHouse",
    "depends": ("topics", "readings"),
    "beside": ("sink-places",),
}
_EVERY_MS = 2_000
_MOST_BYTES = 8 * 2**20
_HEAD = struct.Struct("<HIQqH")
_COLUMNS = ("log_number", "log_partition", "log_offset", "log_time", "cap", "value")
_MOST_LOGS = 2**10 - 1
# A day is a partition, and a batch of late readings may touch more of them than ClickHouse lets by default.
_INSERT = {"max_partitions_per_insert_block": 0, "throw_on_max_partitions_per_insert_block": 0}
# What ClickHouse says of data that it can never take, whenever it is asked: numbers of its errors.
_POISON = frozenset({6, 26, 27, 33, 38, 53, 69, 72, 117, 128, 130, 131, 190, 306, 349, 469})


class Record(NamedTuple):
    """A record as it stands on the log. `log_time` is UTC epoch ms."""

    partition: int
    offset: int
    log_time: int
    value: bytes


class Records:
    """What one insert consists of: records, and the next offset to read of each partition once they are stored."""

    def __init__(self, records: list[Record] | None = None, positions: dict[int, int] | None = None) -> None:
        self.records = records or []
        self.positions = positions or {}
        self.size = sum(len(record.value) for record in self.records)

    def add(self, record: Record) -> None:
        """Take a record in."""
        self.records.append(record)
        self.size += len(record.value)

    def items(self) -> list[Record]:
        """The records."""
        return self.records

    def without_items(self) -> Records:
        """The positions alone."""
        return Records([], self.positions)

    def halves(self) -> tuple[Records, Records]:
        """Two batches that together are this one; only the second carries the positions."""
        middle = len(self.records) // 2
        return Records(self.records[:middle]), Records(self.records[middle:], self.positions)


class CannotTake(Exception):
    """ClickHouse can never take something in a batch."""


class ClickHouseSink(RawSink):
    """Records of `raw-sensor-data` into `raw_record`, from where ClickHouse unpacks them into `reading`.

    A flush is an insert of the records and then one of the positions: what is stored twice is folded, as both copies
    have the same version. Of several readings with one identity the first in the log stays, whatever the order in which
    they come (`sql/stores/clickhouse`). Records that break the form of a pack are passed over and counted, readings
    that retention has outlived go to `dead-letter`; ClickHouse itself says which, in `raw_refused`.
    """

    topic = RAW
    name = "sink-clickhouse"
    every_ms = _EVERY_MS
    most_pending = 20_000
    poison = (CannotTake,)

    def __init__(self, settings: SinkSettings) -> None:
        super().__init__(settings)
        self.passed_over = 0
        """Records that this instance has met and that are no packs (replays count again)."""
        self._retention = Retention(settings.keep_raw_days)
        self._log_number = 0
        self._log_times: dict[int, int] = {}
        self._log = structlog.get_logger(__name__)

    def batch(self) -> Records:
        """An empty one."""
        return Records()

    def decode(self, message: Any) -> Record:
        """The bytes as they are. Only ClickHouse looks into them."""
        return Record(message.partition(), message.offset(), message.timestamp()[1], message.value())

    def letter(self, item: Record) -> tuple[bytes, str, str]:
        """The record with the names in it, if there are any."""
        try:
            pack = codec.decode(Pack, item.value)
        except BadRecord:
            return item.value, "", ""
        return item.value, pack.tenant, pack.device

    def positions(self) -> dict[int, int]:
        """What `raw_position` holds for this very log, which gets its number if it is new; moves the edge first."""
        client = self._client()
        self._retention.keep(client)
        self._log_number = self._number(client)
        held = raw.positions(client, self.log_id)
        self._log_times = {partition: at.log_time for partition, at in held.items()}
        return {partition: at.next_offset for partition, at in held.items()}

    def write(self, rows: Any, positions: dict[int, int]) -> None:
        """Take records, and the next offset to read of each partition. Holds them until a flush."""
        for record in rows:
            self.pending.add(record)
        self.pending.positions.update(positions)

    def due(self) -> bool:
        """Also when the records have grown large."""
        return super().due() or self.pending.size >= _MOST_BYTES

    def store(self, batch: Records) -> None:
        """The records, then dead letters of what retention has outlived, then the positions."""
        client = self._client()
        if batch.records:
            self._insert(client, batch)
            self._report(client, batch)
        for record in batch.records:
            self._log_times[record.partition] = max(record.log_time, self._log_times.get(record.partition, 0))
        self._insert_positions(RAW_POSITIONS, batch.positions, self._log_times)

    def upkeep(self) -> None:
        """Retention, each hour."""
        self._retention.keep(self._client())

    def _insert(self, client: Client, batch: Records) -> None:
        block = bytearray()
        for partition, offset, log_time, value in batch.records:
            block += _HEAD.pack(self._log_number, partition, offset, log_time, self._settings.pack_cap)
            block += varint(len(value))
            block += value
        try:
            client.raw_insert(RAW_RECORDS, _COLUMNS, bytes(block), settings=_INSERT, fmt="RowBinary")
        except DatabaseError as error:
            if error.code in _POISON:
                raise CannotTake(str(error)) from error
            raise

    def _report(self, client: Client, batch: Records) -> None:
        """Asks which of the batch were not taken: late ones become dead letters, broken ones the job's business."""
        ends: dict[int, tuple[int, int]] = {}
        by_place = {}
        for record in batch.records:
            low, high = ends.get(record.partition, (record.offset, record.offset))
            ends[record.partition] = min(low, record.offset), max(high, record.offset)
            by_place[record.partition, record.offset] = record
        spans = " or ".join(f"(log_partition = {at} and log_offset between {a} and {b})" for at, (a, b) in ends.items())
        found = client.query(
            f"select distinct log_partition, log_offset, reason, detail from {RAW_REFUSED}"  # noqa: S608  # our numbers
            f" where log_number = {self._log_number} and ({spans})"
        )
        broken = 0
        for partition, offset, reason, detail in found.result_rows:
            met = by_place.get((partition, offset))
            if met is None:
                continue
            if reason == "bad-record":
                broken += 1
            else:
                self.refuse([met], f"partition {partition} offset {offset}: {detail}", reason)
        if broken:
            self.passed_over += broken
            self._log.warning("sink.passed-over", records=broken, in_all=self.passed_over, detail="no packs")

    def _number(self, client: Client) -> int:
        """The number of this log: how many logs were met before it."""
        found = client.query(f"select log_id, min(log_number) from {RAW_LOGS} group by log_id")  # noqa: S608
        known = {str(row[0]): int(row[1]) for row in found.result_rows}
        if self.log_id in known:
            return known[self.log_id]
        number = min(max(known.values(), default=-1) + 1, _MOST_LOGS)
        client.insert(RAW_LOGS, [[self.log_id, number]], column_names=["log_id", "log_number"])
        if known:
            self._log.warning(
                "sink.another-log",
                detail=f"expected the topic id {self.log_id} among {sorted(known)}: {RAW.name} was made anew or Kafka "
                "was replaced. Reading it from its beginning; readings that are stored already stay as they are",
            )
        return number


def main() -> None:
    """Run until SIGTERM."""
    settings = SinkSettings()
    run(ClickHouseSink(settings), settings, PlaceSink(settings))


if __name__ == "__main__":
    main()
