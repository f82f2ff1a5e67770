"""A simulated fleet: many devices of several kinds, each with a real MQTT connection, in one process.

Devices measure at their own moment of the interval, so that load is even. Run with `python -m headwater.workers.fleet`.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from dataclasses import asdict
from urllib.parse import urlsplit

import orjson
import structlog
import uvloop

from headwater.clock import now_ms
from headwater.garbage import collect_rarely
from headwater.logs import configure
from headwater.model.settings import FleetSettings
from headwater.workers.fleet_link import Address, Link, Tally
from headwater.workers.fleet_model import SimulatedDevice, device_token

REPORT_S = 60.0
STARTING_REPORT_S = 10.0
_log = structlog.get_logger()


class Member:
    """A device of the fleet with its connection. It is asked once a message for all that it has measured since."""

    def __init__(self, device: SimulatedDevice, settings: FleetSettings, link: Link) -> None:
        self._device = device
        self._link = link
        self._topic = f"v1/{settings.fleet_tenant}/{device.name}/telemetry"
        self._every_ms = settings.fleet_every_ms
        self._pack = settings.fleet_pack
        self._period_ms = self._pack * self._every_ms
        self._whole = settings.fleet_whole
        self._after_ms = 0
        self._loop = asyncio.get_running_loop()
        self._due = 0.0
        self._last = 0

    def start(self, share: float) -> None:
        """Sends first after this share of the time between two messages, then regularly."""
        self._after_ms = int(share * self._period_ms)
        self._due = self._loop.time() + (self._after_ms - self._period_ms) / 1_000
        self._wait(now_ms())

    def _tick(self) -> None:
        now = now_ms()
        if self._whole:
            self._catch_up(newest_whole(now, self._after_ms, self._period_ms, self._every_ms))
        else:
            self._send(now)
        self._wait(now)

    def _catch_up(self, newest: int) -> None:
        """Sends each period that has ended since the last message: a device measures also while it cannot send."""
        begun = self._last or newest - self._period_ms
        for last in range(begun + self._period_ms, newest + 1, self._period_ms):
            self._send(last)

    def _send(self, newest: int) -> None:
        first = max(newest - (self._pack - 1) * self._every_ms, self._last + 1)
        if ts := list(range(newest, first - 1, -self._every_ms))[::-1]:
            self._link.publish(self._topic, payload(ts, [self._device.measure(one) for one in ts]))
            self._last = newest

    def _wait(self, now: int) -> None:
        if self._whole:
            self._loop.call_later((self._after_ms - now) % self._period_ms / 1_000, self._tick)
        else:
            self._due = max(self._due + self._period_ms / 1_000, self._loop.time())
            self._loop.call_at(self._due, self._tick)


def newest_whole(now: int, after_ms: int, period_ms: int, every_ms: int) -> int:
    """The last stamp of a message of a whole period, sent `after_ms` after it ended; all in ms, `now` since the epoch.

    `now` may be half a period beside the moment at which it was due.
    """
    ended = round((now - after_ms) / period_ms) * period_ms
    return ended - every_ms + after_ms % every_ms


def payload(ts: list[int], rows: list[dict[str, float]]) -> bytes:
    """One measurement as an object, several as columns."""
    if len(ts) == 1:
        return orjson.dumps({"ts": ts[0], "values": rows[0]})
    return orjson.dumps({"ts": ts, "metrics": {name: [row[name] for row in rows] for name in rows[0]}})


async def run(settings: FleetSettings, stopping: asyncio.Event) -> None:
    """Brings up the fleet, `fleet_connects` connections a second, and lets it measure until `stopping` is set."""
    tally = Tally()
    links: list[Link] = []
    starting = asyncio.create_task(_start(settings, tally, links))
    if settings.fleet_devices:
        await _report(tally, settings.fleet_devices, starting, stopping)
    else:
        await _idle(tally, stopping)
    starting.cancel()
    for link in links:
        link.close()
    await asyncio.sleep(0.5)


async def _start(settings: FleetSettings, tally: Tally, links: list[Link]) -> None:
    address = urlsplit(settings.mqtt)
    where = Address(address.hostname or "127.0.0.1", address.port or 1883)
    secret = settings.fleet_token.get_secret_value()
    for number in range(1, settings.fleet_devices + 1):
        device = SimulatedDevice(number, settings.fleet_seed, settings.fleet_metrics)
        user = f"{settings.fleet_tenant}/{device.name}"
        link = Link(user, device_token(secret, device.name), where, tally)
        links.append(link)
        link.connect()
        spread = (number * 0.618034) % 1  # golden ratio: even at any number of devices
        Member(device, settings, link).start(spread)
        if number % 10 == 0:
            await asyncio.sleep(10 / settings.fleet_connects)


async def _report(tally: Tally, devices: int, starting: asyncio.Task[None], stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        _log.info("fleet", devices=devices, **asdict(tally))
        if starting.done():
            starting.result()
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), REPORT_S if starting.done() else STARTING_REPORT_S)
    _log.info("fleet", devices=devices, **asdict(tally))


async def _idle(tally: Tally, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        tally.heart.beat()
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), 5)


async def _main(settings: FleetSettings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await run(settings, stopping)


def main() -> None:
    """The process: simulates until SIGTERM."""
    settings = FleetSettings()
    configure(settings.log_format)
    collect_rarely()
    uvloop.run(_main(settings))
    _log.info("stopped")


if __name__ == "__main__":
    main()
