"""Device to screen: how long a reading takes from a device's publish to a live frame that holds it.

    python -m bench.latency --rate 1000 --seconds 60
    python -m bench.latency --rate 10000 --seconds 60

Needs a running stack. Probe devices publish single stamped readings whose value is the time of sending; a WebSocket
client notes when a frame first covers each of them (so readings that were coalesced count too). Beside the probes a
load gives the wanted rate. Prints p50, p90, p99 and max in ms. Clocks: publisher and viewer are this one process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import deque
from dataclasses import dataclass, field

import websockets

from headwater.model.settings import ApiSettings, Settings
from headwater.truth.load import LoadDevice, Message, NumberedLoad, Shape, register

TENANT = "latency"
PROBES = 20


@dataclass
class Probe(LoadDevice):
    """Sends one reading at a time, the value of which is the moment of sending in ms."""

    waiting: deque[int] = field(default_factory=deque)

    def ping(self) -> None:
        """Publishes the present time."""
        now = time.time_ns() // 1_000_000
        now = self._last_ts = max(now, self._last_ts + 1)
        self.waiting.append(now)
        self._publish(Message([now], {"sent": [float(now)]}))


async def watch(probes: dict[str, Probe], url: str, key: str, seconds: float, every: float) -> list[float]:
    """Publishes from all probes and returns the delay of each reading in ms."""
    delays: list[float] = []
    until = time.monotonic() + seconds

    async def publish() -> None:
        while time.monotonic() < until:
            for probe in probes.values():
                probe.settle()
                probe.ping()
                await asyncio.sleep(every / len(probes))

    async with websockets.connect(f"{url.replace('http', 'ws', 1)}/v1/live?key={key}", max_size=None) as socket:
        await socket.send(json.dumps({"type": "subscribe", "tenant": TENANT, "devices": list(probes), "cursor": None}))
        sender = asyncio.create_task(publish())
        while time.monotonic() < until + 5:
            try:
                frame = json.loads(await asyncio.wait_for(socket.recv(), 1))
            except TimeoutError:
                continue
            now = time.time() * 1_000
            if frame["type"] != "rows":
                continue
            columns = frame["columns"]
            for device, last in zip(columns["device"], columns["last"], strict=True):
                waiting = probes[device].waiting
                while waiting and waiting[0] <= last:
                    delays.append(now - waiting.popleft())
        await sender
    return delays


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=1_000, help="readings a second of the load beside the probes")
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    settings = Settings()
    # A message carries one second of 10 Hz for 10 metrics, as a gateway sends it. (More than some 300 paho clients do
    # not fit into the select() of one process.)
    devices = max(1, given.rate // 100)
    shape = Shape(devices=devices, metrics=10, pack=10, every_ms=1_000)
    names = [f"load-{i:04d}" for i in range(devices)]
    probe_names = [f"probe-{i:02d}" for i in range(PROBES)]
    tokens = register(settings.postgres.get_secret_value(), TENANT, names + probe_names)
    time.sleep(2)
    load = NumberedLoad(settings.mqtt, TENANT, {name: tokens[name] for name in names}, shape)
    load.start()
    probes = {name: Probe(TENANT, name, tokens[name], Shape(devices=1)) for name in probe_names}
    for probe in probes.values():
        probe.connect(settings.mqtt)
    time.sleep(15)
    key = ApiSettings().access_key.get_secret_value()
    delays = sorted(asyncio.run(watch(probes, settings.api, key, given.seconds, every=0.5)))
    left = load.stop()
    missing = sum(len(probe.waiting) for probe in probes.values())
    for probe in probes.values():
        probe.client.disconnect()
        probe.client.loop_stop()
    if not delays:
        raise SystemExit("no probe reading came through: is the stack healthy (headwater status)?")
    at = {
        name: round(delays[min(len(delays) - 1, int(len(delays) * share))])
        for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
    }
    print(
        json.dumps(
            {
                "rate": shape.readings_per_s,
                "probes": len(delays),
                **at,
                "max": round(delays[-1]),
                "not_shown": missing,
                "unacknowledged": left,
            }
        )
    )


if __name__ == "__main__":
    main()
