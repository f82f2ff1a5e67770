"""Reading to alert: how long it takes from a device's publish to the alert on Kafka, and to a viewer's screen.

    python -m bench.alerting --rate 10000 --seconds 60

Needs a running stack. Probe devices publish one reading after the other, above the level of a rule and below it by
turns, so each is an alert raised or cleared. Beside them a load gives the wanted rate, each of whose metrics a rule
watches too. Prints p50, p90, p99 and max in ms of both ways; every reading of a probe must have made its event, once
(`missing`, `extra`: 0). Clocks: publisher, consumer and viewer are this one process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import threading
import time
from typing import Any

import psycopg
import websockets
from confluent_kafka import Consumer

from headwater import rule_store
from headwater.model import codec
from headwater.model.alert import AlertEvent
from headwater.model.rule import Draft, Threshold
from headwater.model.settings import ApiSettings, Settings
from headwater.model.topics import ALERTS
from headwater.truth import judged
from headwater.truth.load import LoadDevice, Message, NumberedLoad, Shape, register

TENANT = "alerting-bench"
PROBES = 20
METRICS = 10
EVERY_S = 0.5
Seen = dict[tuple[str, int], float]
"""(device, event time) -> when it was seen, epoch ms."""


class Probe(LoadDevice):
    """Crosses the level with each reading."""

    def cross(self) -> int:
        """Publishes a reading on the other side; returns its stamp."""
        self._last_ts = max(time.time_ns() // 1_000_000, self._last_ts + 1)
        self._number += 1
        self._publish(Message([self._last_ts], {"level": [10.0 * (self._number % 2)]}))
        return self._last_ts


def make_rules(url: str) -> None:
    """One rule for the probes, and one for each metric of the load that it never meets."""
    drafts = [Draft(rule="crossed", severity="minor", when=Threshold(metric="level", above=5.0))]
    drafts += [
        Draft(rule=f"far-{number}", severity="minor", when=Threshold(metric=f"m{number}", above=1e12))
        for number in range(METRICS)
    ]
    with psycopg.connect(url) as connection:
        rule_store.apply(connection, TENANT, drafts)


class Log:
    """Follows `alerts` in a thread; `seen` is when each event came, `records` how many came."""

    def __init__(self, bootstrap: str) -> None:
        self.seen: Seen = {}
        self.events: set[tuple[Any, ...]] = set()
        self._stop = threading.Event()
        self._ready = threading.Event()
        given = {"bootstrap.servers": bootstrap, "group.id": "headwater-bench", "enable.auto.commit": False}
        self._consumer = Consumer({**given, "auto.offset.reset": "latest", "fetch.wait.max.ms": 10})
        self._consumer.subscribe([ALERTS.name], on_assign=lambda *_: self._ready.set())
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(60)

    def _run(self) -> None:
        while not self._stop.is_set():
            message = self._consumer.poll(0.2)
            if message is None or message.error() is not None:
                continue
            event = codec.decode(AlertEvent, message.value() or b"")
            if event.tenant == TENANT and event.why == "reading":
                self.seen.setdefault((event.device, event.event_time), time.time() * 1_000)
                self.events.add((event.device, event.event_time, event.happened))
        self._consumer.close()

    def stop(self) -> None:
        """Ends the thread."""
        self._stop.set()
        self._thread.join(10)


async def run(probes: list[Probe], url: str, key: str, seconds: float) -> tuple[dict[tuple[str, int], int], Seen]:
    """Publishes for `seconds`; returns (each reading sent, when a viewer saw its event)."""
    sent: dict[tuple[str, int], int] = {}
    shown: Seen = {}
    until = time.monotonic() + seconds

    async def publish() -> None:
        while time.monotonic() < until:
            for probe in probes:
                probe.settle()
                stamp = probe.cross()
                sent[probe.name, stamp] = stamp
                await asyncio.sleep(EVERY_S / len(probes))

    async with websockets.connect(f"{url.replace('http', 'ws', 1)}/v1/live?key={key}", max_size=None) as socket:
        await socket.send(json.dumps({"type": "subscribe", "tenant": TENANT, "devices": [], "cursor": None}))
        sender = asyncio.create_task(publish())
        while time.monotonic() < until + 5:
            try:
                frame = json.loads(await asyncio.wait_for(socket.recv(), 1))
            except TimeoutError:
                continue
            if frame["type"] == "alerts":
                for alert in frame["alerts"]:
                    for stamp in (alert["raised"], alert["cleared"]):
                        if stamp is not None:
                            shown.setdefault((alert["device"], stamp), time.time() * 1_000)
        await sender
    return sent, shown


def figures(sent: dict[tuple[str, int], int], seen: Seen) -> dict[str, int]:
    """Delays in ms of what was seen."""
    delays = sorted(seen[one] - stamp for one, stamp in sent.items() if one in seen)
    if not delays:
        return {"seen": 0}
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    at = {name: round(delays[min(len(delays) - 1, int(len(delays) * share))]) for name, share in shares.items()}
    return {"seen": len(delays), **at, "max": round(delays[-1])}


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=10_000, help="readings a second of the load beside the probes")
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    settings = Settings()
    shape = Shape(devices=max(1, given.rate // (10 * METRICS)), metrics=METRICS, pack=10, every_ms=1_000)
    names = [f"load-{number:04d}" for number in range(shape.devices)]
    probe_names = [f"probe-{number:02d}" for number in range(PROBES)]
    tokens = register(settings.postgres.get_secret_value(), TENANT, names + probe_names)
    make_rules(settings.postgres.get_secret_value())
    time.sleep(2)
    load = NumberedLoad(settings.mqtt, TENANT, {name: tokens[name] for name in names}, shape)
    load.start()
    probes = [Probe(TENANT, name, tokens[name], Shape(devices=1)) for name in probe_names]
    for probe in probes:
        probe.connect(settings.mqtt)
    time.sleep(15)
    log = Log(settings.kafka)
    sent, shown = asyncio.run(run(probes, settings.api, ApiSettings().access_key.get_secret_value(), given.seconds))
    left = load.stop()
    log.stop()
    for probe in probes:
        probe.client.disconnect()
        probe.client.loop_stop()
    judged.end(settings.postgres.get_secret_value(), TENANT)
    report = {
        "rate": shape.readings_per_s,
        "crossings": len(sent),
        "on_kafka": figures(sent, log.seen),
        "on_screen": figures(sent, shown),
        "missing": len(sent.keys() - log.seen.keys()),
        "extra": len({one for one in log.events if one[:2] not in sent}) + len(log.events) - len(log.seen),
        "unacknowledged": left,
    }
    print(json.dumps(report, indent=2))
    return 1 if report["missing"] or report["extra"] or not sent else 0


if __name__ == "__main__":
    raise SystemExit(main())
