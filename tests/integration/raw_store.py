"""Logs put into the raw store without its sink, in the order that a test wants."""

from collections.abc import Iterable

from clickhouse_connect.driver.client import Client

from headwater.model.codec import encode
from headwater.model.stores import DEVICE_PLACES, PLACE_POSITIONS, RAW_LOGS, RAW_POSITIONS, READINGS
from headwater.truth.reference import Record
from headwater.truth.registries import Said

COLUMNS = ["log_number", "log_partition", "log_offset", "log_time", "cap", "value"]


def put(client: Client, log: Iterable[Record], log_number: int = 1) -> None:
    """Stores the records as the sink does, but no position."""
    rows = [[log_number, each.partition, each.offset, each.log_time, 64, encode(each.pack)] for each in log]
    if rows:
        client.insert("raw_record", rows, column_names=COLUMNS)


def say(client: Client, said: Iterable[Said]) -> None:
    """Stores what the registry said, every record of it: the sink leaves out what says nothing new."""
    columns = ["tenant", "device", "log_time", "log_offset", "site", "model"]
    rows = [
        [one.record.tenant, one.record.device, one.log_time, offset, one.record.site or "", one.record.model or ""]
        for offset, one in enumerate(said)
    ]
    if rows:
        client.insert(DEVICE_PLACES, rows, column_names=columns)


def passed(client: Client, log_id: str, places: dict[int, tuple[int, int]], log_number: int = 1) -> None:
    """Says that each partition is stored up to (next offset, log time), and the registry a bit further."""
    client.insert(RAW_LOGS, [[log_id, log_number]], column_names=["log_id", "log_number"])
    rows = [[log_id, partition, *place] for partition, place in places.items()]
    columns = ["log_id", "log_partition", "next_offset", "log_time"]
    client.insert(RAW_POSITIONS, rows, column_names=columns)
    known = max(log_time for _, log_time in places.values()) + 1
    client.insert(PLACE_POSITIONS, [[log_id, partition, known, known] for partition in places], column_names=columns)


def empty(client: Client) -> None:
    """Forgets everything."""
    for table in (READINGS, RAW_LOGS, RAW_POSITIONS, DEVICE_PLACES, PLACE_POSITIONS, "raw_edge", "raw_refused"):
        client.command(f"truncate table {table}")
