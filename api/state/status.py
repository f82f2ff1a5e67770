"""The state of the line in one small object: how fast, how late, how far behind, how much was refused.

The same object is the answer of `/v1/status` and, each second, a frame for every live client.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TypedDict

import orjson
import structlog

from api.state.alert_feed import AlertFeed
from api.state.clickhouse import ClickHouse
from api.state.dead_letters import DeadLetters
from api.state.feed import Feed
from api.state.lag import LagWatch
from api.state.meters import Meters
from api.state.overview import Overview
from api.state.postgres import Postgres
from api.state.rows import Change
from headwater.clock import now_ms
from headwater.model.disk import Water, free_mb
from headwater.model.errors import HeadwaterError
from headwater.model.settings import ApiSettings, state_folder
from headwater.model.topics import ALERTS, PROCESSED, RAW

log = structlog.get_logger(__name__)

ACTIVE_MS = 60_000
"""A device is active if something of it was received within the last minute."""

_WINDOW_MS = 10_000
_RATE_S = 5
_SAMPLES = 200


class Delay(TypedDict):
    """Milliseconds from a door's receipt of the last reading in a row to the frame; None without rows."""

    p50: int | None
    p99: int | None


class Disk(TypedDict):
    """Room on the disk of the state folder in MB, and whether it is so little that doors refuse."""

    free_mb: int
    mark_mb: int
    low: bool


class Status(TypedDict):
    """See the module; times in UTC epoch ms."""

    type: str
    sent: int
    ready: bool
    readings_per_s: float
    delay_ms: Delay
    lag: dict[str, int | None]
    dead_letters: dict[str, int]
    repairs: dict[str, int] | None
    audited: int | None
    balance: dict[str, Any] | None
    queries: list[dict[str, Any]] | None
    jobs: list[dict[str, Any]] | None
    disk: Disk
    devices: int
    clients: int
    log_time: int | None
    mqtt: str


class Delays:
    """The last ten seconds of delays, a sample of each tick, so that a flood costs no more than a trickle."""

    def __init__(self) -> None:
        self._ticks: deque[tuple[int, list[int]]] = deque()

    def add(self, changes: Sequence[Change], now: int) -> list[int]:
        """Takes the changes of a tick that ends at `now`; the delays (ms) that were sampled."""
        stride = max(1, len(changes) // _SAMPLES)
        some = (change for change in changes[::stride] if change.cells.received > 0 and not change.device.fleet)
        sample = [max(0, now - change.cells.received) for change in some]
        if sample:
            self._ticks.append((now, sample))
        return sample

    def quantiles(self, now: int) -> Delay:
        """The median and the 99th percentile of what is not older than ten seconds."""
        while self._ticks and self._ticks[0][0] < now - _WINDOW_MS:
            self._ticks.popleft()
        known = sorted(delay for _, sample in self._ticks for delay in sample)
        if not known:
            return {"p50": None, "p99": None}
        return {"p50": known[len(known) // 2], "p99": known[min(len(known) - 1, len(known) * 99 // 100)]}


class Rate:
    """Readings a second over the last five seconds, from a total that only grows."""

    def __init__(self) -> None:
        self._totals: deque[tuple[float, int]] = deque(maxlen=_RATE_S + 1)

    def add(self, total: int, at_s: float) -> float:
        """Takes the total at `at_s` (any steady clock) and answers the rate."""
        self._totals.append((at_s, total))
        first_s, first = self._totals[0]
        return (total - first) / (at_s - first_s) if at_s > first_s else 0.0


class StatusBoard:
    """Puts the status together once a second; asking it is free."""

    def __init__(
        self,
        feed: Feed,
        alerts: AlertFeed,
        lag: LagWatch,
        dead_letters: DeadLetters,
        postgres: Postgres,
        clickhouse: ClickHouse,
        meters: Meters,
        settings: ApiSettings,
    ) -> None:
        self._feed = feed
        self._alerts = alerts
        self._lag = lag
        self._dead_letters = dead_letters
        self._postgres = postgres
        self._overview = Overview(postgres)
        self._clickhouse = clickhouse
        self._meters = meters
        self._mqtt = settings.mqtt
        self._water = Water(settings.low_disk_mb)
        self._delays = Delays()
        self._rate = Rate()
        self._sink_lag: int | None = None
        self._raw_lag: int | None = None
        self._repairs: dict[str, int] | None = None
        self._audited: int | None = None
        self._balance: dict[str, Any] | None = None
        self._queries: list[dict[str, Any]] | None = None
        self._jobs: list[dict[str, Any]] | None = None
        self.clients = 0
        self.serial = 0
        self.current = self._status(now_ms())
        self.text = orjson.dumps(self.current).decode()

    def on_tick(self, changes: Sequence[Change], now: int) -> None:
        """Takes note of what a tick brought."""
        for delay in self._delays.add(changes, now):
            self._meters.delay.observe(delay / 1000)
        if changes:
            self._meters.rows.inc(len(changes))

    async def run(self) -> None:
        """Makes a new status each second until cancelled."""
        asking = [asyncio.create_task(each) for each in (self._ask_sink(), self._ask_raw_store())]
        try:
            while True:
                await asyncio.sleep(1)
                self.current = self._status(now_ms())
                self.text = orjson.dumps(self.current).decode()
                self.serial += 1
                self._publish()
        finally:
            for task in asking:
                task.cancel()

    def _status(self, now: int) -> Status:
        live = self._feed.live
        rate = self._rate.add(live.readings, time.monotonic()) if self._feed.ready else 0.0
        return {
            "type": "status",
            "sent": now,
            "ready": self._feed.ready,
            "readings_per_s": round(rate, 1),
            "delay_ms": self._delays.quantiles(now),
            "lag": {
                **self._lag.jobs,
                "api": self._lag.behind(PROCESSED, live.positions),
                ALERTS.name: self._lag.behind(ALERTS, self._alerts.positions),
                "postgres": self._sink_lag,
                "raw": self._raw_lag,
            },
            "dead_letters": self._dead_letters.counts(),
            "repairs": self._repairs,
            "audited": self._audited,
            "balance": self._balance,
            "queries": self._queries,
            "jobs": self._jobs,
            "disk": self._disk(),
            "devices": live.active(now - ACTIVE_MS),
            "clients": self.clients,
            "log_time": live.log_time,
            "mqtt": self._mqtt,
        }

    def _disk(self) -> Disk:
        free = free_mb(state_folder())
        return {"free_mb": free, "mark_mb": self._water.mark_mb, "low": self._water.low(free)}

    def _publish(self) -> None:
        meters, status = self._meters, self.current
        meters.readings.set(status["readings_per_s"])
        meters.clients.set(self.clients)
        meters.remembered.set(self._feed.live.remembered)
        meters.disk_free.set(status["disk"]["free_mb"])
        meters.unreadable.set(self._feed.unreadable)
        for reader, behind in status["lag"].items():
            meters.lag.labels(reader).set(float("nan") if behind is None else behind)
        for reason, count in status["dead_letters"].items():
            meters.dead_letters.labels(reason).set(count)
        for cause, count in (status["repairs"] or {}).items():
            meters.repairs.labels(cause).set(count)

    async def _ask_sink(self) -> None:
        """The sink's place, and the audits, asked apart: a database that is away must not hold up the seconds."""
        while True:
            try:
                self._sink_lag = self._lag.behind(PROCESSED, await self._postgres.positions(PROCESSED.name))
                self._repairs, self._audited = await self._overview.audits()
                balance = await self._overview.balance()
                self._balance = asdict(balance) if balance else None
                self._queries = [asdict(one) for one in await self._overview.deployed()]
                self._jobs = [asdict(one) for one in await self._overview.jobs()]
            except HeadwaterError as error:
                self._sink_lag = None
                log.debug("cannot read the sink's place", error=str(error))
            except Exception:
                self._sink_lag = None
                log.exception("cannot read the sink's place")
            await asyncio.sleep(2)

    async def _ask_raw_store(self) -> None:
        """The same of the raw store."""
        while True:
            try:
                self._raw_lag = self._lag.behind(RAW, await self._clickhouse.positions())
            except HeadwaterError as error:
                self._raw_lag = None
                log.debug("cannot read the place of the raw store's sink", error=str(error))
            except Exception:
                self._raw_lag = None
                log.exception("cannot read the place of the raw store's sink")
            await asyncio.sleep(2)
