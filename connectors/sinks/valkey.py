"""The way into Valkey (or Redis): the latest value of every metric of every device, a moment after Flink has it."""

from __future__ import annotations

from collections import defaultdict

from connectors.sinks.active_alerts import ActiveAlertSink
from connectors.sinks.base import Batch
from connectors.sinks.consume import run
from connectors.sinks.keys import KeySink
from connectors.sinks.waiting import Waiting
from headwater.model import codec
from headwater.model.generation import STEP
from headwater.model.settings import SinkSettings
from headwater.model.stores import LOG_TIME_KEY, devices_key, latest_key
from headwater.model.topics import RAW

PROCESS = {
    "says": "latest values and active alerts into Valkey",
    "depends": ("topics", "valkey"),
    "beside": ("sink-active-alerts",),
}
_LINGER_MS = 50


class ValkeySink(KeySink):
    """Rows of `processed-data` into the hashes of `latest_key`: set by script if newer, never incremented.

    One script call a device, all of a flush in one round trip. Rows of an epoch that is not shown yet are offered again
    when it is; positions are not committed meanwhile.
    """

    name = "sink-valkey"
    every_ms = _LINGER_MS
    filled_key = "sink-valkey:filled"
    scripts = ("latest", "log_time")

    def __init__(self, settings: SinkSettings) -> None:
        super().__init__(settings)
        self._listed: set[tuple[str, str]] = set()
        self._waiting = Waiting(settings.partitions, lambda row: (row.tenant, row.device, row.metric))

    def store(self, batch: Batch) -> None:
        """All of the batch in one pipeline; not a transaction, for every command may be repeated."""
        devices: dict[tuple[str, str], list[bytes | str]] = defaultdict(list)
        for row in self._waiting.offered(batch):
            devices[row.tenant, row.device] += (row.metric, codec.encode(row))
        limits = self._waiting.hidden, STEP
        pipe = self._client.pipeline(transaction=False)
        for (tenant, device), metrics in devices.items():
            pipe.evalsha(self._script["latest"], 1, latest_key(tenant, device), *limits, *metrics)
        unlisted = devices.keys() - self._listed
        for tenant, device in unlisted:
            pipe.sadd(devices_key(tenant), device)
        beats = [part for (topic, at), time in batch.beats.items() if topic == RAW.name for part in (at, time)]
        if beats:
            pipe.evalsha(self._script["log_time"], 1, LOG_TIME_KEY, *beats)
        pipe.execute()
        self._waiting.stored(batch)
        self._listed |= unlisted
        self.remember_that_it_is_filled()

    def holds_rows_back(self) -> bool:
        """True between the first row of an epoch and the markers that let it be shown."""
        return bool(self._waiting)

    def disconnect(self) -> None:
        """Drop the connections and what is held back; the next call makes new ones."""
        self._waiting.forget()
        self._listed.clear()
        super().disconnect()


def main() -> None:
    """Run until SIGTERM."""
    settings = SinkSettings()
    run(ValkeySink(settings), settings, ActiveAlertSink(settings))


if __name__ == "__main__":
    main()
