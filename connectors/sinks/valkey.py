"""The way into Valkey (or Redis): the latest value of every metric of every device, a moment after Flink has it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from connectors.sinks.base import Batch, Sink, newer
from connectors.sinks.consume import run
from headwater.model import codec
from headwater.model.generation import STEP, Shown, raised
from headwater.model.pack import Aggregate
from headwater.model.settings import SinkSettings
from headwater.model.stores import LOG_TIME_KEY, devices_key, latest_key
from headwater.model.topics import RAW

_FILLED_KEY = "sink-valkey:filled"
_LINGER_MS = 50


class ValkeySink(Sink):
    """Rows of `processed-data` into the hashes of `latest_key`: set by script if newer, never incremented.

    One script call a device, all of a flush in one round trip. Positions are committed to Kafka after the write. A key
    remembers that the store has been filled: if it came back empty (no disk), the recent log is read again.
    Rows of an epoch that is not shown yet are offered again when it is; positions are not committed meanwhile.
    """

    name = "sink-valkey"
    keeps_positions = False
    every_ms = _LINGER_MS
    outages = (redis.RedisError, OSError)

    def __init__(self, settings: SinkSettings) -> None:
        super().__init__()
        self._client = redis.Redis.from_url(
            settings.valkey.get_secret_value(),
            protocol=2,
            socket_connect_timeout=5,
            socket_timeout=10,
            client_name=self.name,
            # A silent reconnect would hide that the store came back empty.
            retry=Retry(NoBackoff(), 0),
        )
        self._latest = self._log_time = ""
        self._flushes = 0
        self._listed: set[tuple[str, str]] = set()
        self._shown = Shown(settings.partitions)
        self._held: dict[tuple[str, str], dict[str, Aggregate]] = {}

    def positions(self) -> dict[int, int]:
        """None are kept here; loads the scripts, which proves that the store answers."""
        self._latest = str(self._client.script_load(_script("latest")))
        self._log_time = str(self._client.script_load(_script("log_time")))
        return {}

    def holds_data(self) -> bool:
        """Whether a flush has ever succeeded since the store was last empty."""
        return bool(self._client.exists(_FILLED_KEY))

    def store(self, batch: Batch) -> None:
        """All of the batch in one pipeline; not a transaction, for every command may be repeated."""
        risen = [self._shown.take(*each) for each in sorted(batch.markers.items())]
        held = [row for metrics in self._held.values() for row in metrics.values()]
        devices = _newest([*held, *batch.rows.values()] if any(risen) else batch.rows.values())
        limit = raised(self._shown.generation)
        pipe = self._client.pipeline(transaction=False)
        for (tenant, device), metrics in devices.items():
            arguments: list[Any] = [part for metric, row in metrics.items() for part in (metric, codec.encode(row))]
            pipe.evalsha(self._latest, 1, latest_key(tenant, device), limit, STEP, *arguments)
        unlisted = devices.keys() - self._listed
        for tenant, device in unlisted:
            pipe.sadd(devices_key(tenant), device)
        beats = [part for (topic, at), time in batch.beats.items() if topic == RAW.name for part in (at, time)]
        if beats:
            pipe.evalsha(self._log_time, 1, LOG_TIME_KEY, *beats)
        pipe.execute()
        waiting = [row for row in (*held, *batch.rows.values()) if self._shown.holds(row.generation)]
        self._held = _newest(waiting) if waiting else {}
        self._listed |= unlisted
        self._remember_that_it_is_filled()

    def holds_rows_back(self) -> bool:
        """True between the first row of an epoch and the markers that let it be shown."""
        return bool(self._held)

    def disconnect(self) -> None:
        """Drop the connections; the next call makes new ones."""
        self._held = {}
        self._flushes = 0
        self._listed.clear()
        self._client.close()

    def _remember_that_it_is_filled(self) -> None:
        """Only at the second flush, when the positions of the first are committed: else a crash cuts a refill short."""
        self._flushes += 1
        if self._flushes == 2:
            self._client.set(_FILLED_KEY, 1)


def _newest(rows: Iterable[Aggregate]) -> dict[tuple[str, str], dict[str, Aggregate]]:
    """Of each device and metric the newest row: by pane, then by version."""
    devices: dict[tuple[str, str], dict[str, Aggregate]] = defaultdict(dict)
    for row in rows:
        metrics = devices[row.tenant, row.device]
        held = metrics.get(row.metric)
        if held is None or row.pane > held.pane or (row.pane == held.pane and newer(row, held)):
            metrics[row.metric] = row
    return devices


def _script(name: str) -> str:
    return (files("connectors.sinks") / f"{name}.lua").read_text()


def main() -> None:
    """Run until SIGTERM."""
    settings = SinkSettings()
    run(ValkeySink(settings), settings)


if __name__ == "__main__":
    main()
