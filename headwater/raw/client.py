"""The raw store as its readers see it: how to connect, how far it has come, and where it begins.

All of it is SQL over HTTP that any ClickHouse takes; nothing depends on the embedded server.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from headwater.model.settings import Settings
from headwater.model.stores import PLACE_POSITIONS, RAW_EDGE, RAW_LOGS, RAW_POSITIONS

OUTAGES: tuple[type[Exception], ...] = (ClickHouseError, OSError)
"""What a call raises while the store is down, restarts, or refuses."""


class Position(NamedTuple):
    """How far a partition of `raw-sensor-data` is in the store: all before `next_offset`, and all up to `log_time`."""

    next_offset: int
    log_time: int


def connect(settings: Settings, name: str = "headwater") -> Client:
    """A client of the store that `HEADWATER_CLICKHOUSE` names. Raises one of `OUTAGES` while it cannot be reached.

    `name` shows in the store's own logs. A client is for one thread at a time.
    """
    return connect_to(settings.clickhouse.get_secret_value(), name)


def connect_to(url: str, name: str = "headwater", timeout_s: int = 120) -> Client:
    """As `connect`, for a URL. What it says after `?` goes to `clickhouse_connect` (`verify=false`, for example)."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    return clickhouse_connect.get_client(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or (8443 if secure else 8123),
        username=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.strip("/")) or "default",
        interface=parts.scheme,
        client_name=name,
        connect_timeout=5,
        send_receive_timeout=timeout_s,
        # Statements of one client never depend on each other, and sessions would forbid the store to share them out.
        autogenerate_session_id=False,
        **options,
    )


def newest_log(client: Client) -> str:
    """Kafka's topic id of the newest log that is in the store; empty if there is none yet."""
    found = client.query(
        f"select log_id from {RAW_LOGS} group by log_id order by min(log_number) desc limit 1"  # noqa: S608  # constants
    ).result_rows
    return str(found[0][0]) if found else ""


def positions(client: Client, log_id: str | None = None) -> dict[int, Position]:
    """How far each partition of the newest log, or of the one with the id `log_id`, is in the store."""
    log_id = newest_log(client) if log_id is None else log_id
    found = client.query(
        f"select log_partition, max(next_offset), max(log_time) from {RAW_POSITIONS}"  # noqa: S608  # constants
        " where log_id = {log_id:String} group by log_partition",
        {"log_id": log_id},
    )
    return {int(row[0]): Position(int(row[1]), int(row[2])) for row in found.result_rows}


def places_known(client: Client, partitions: int) -> int:
    """Log time (epoch ms) before which it is known where each device belonged; 0 until each partition has said so.

    Whatever log it was in: one that was made anew goes on where the one before it has ended, in log time.
    """
    found = client.query(
        f"select count(), min(newest) from (select log_partition, max(log_time) as newest from {PLACE_POSITIONS}"  # noqa: S608
        " group by log_partition)"
    ).result_rows
    return int(found[0][1]) if found[0][0] >= partitions else 0


def edge(client: Client) -> int:
    """Event time (epoch ms) before which retention has removed readings, or is about to; 0 if nothing was removed."""
    return int(client.query(f"select max(before_ms) from {RAW_EDGE}").result_rows[0][0])  # noqa: S608  # a constant
