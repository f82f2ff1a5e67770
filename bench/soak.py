"""A large fleet for a long time: lag and memory must stay flat, the stores must keep up.

    python -m bench.soak --minutes 60                       # 10,000 devices x 3 metrics at 1 Hz, packed by 10
    python -m bench.soak --minutes 10 --devices 2000
    python -m bench.soak --whole                            # as devices do that send each full ten seconds

Needs a running stack, best without a fleet of its own (`HEADWATER_FLEET_DEVICES=0 make up`). Starts a fleet as a tenant
of its own, waits until it is connected, and looks at the stack every 30 s. Prints for each program its memory in the
first and the last third, for each reader its lag, the share of the load that was acknowledged, and the rows a store
wrote per reading. Exit code 1 if less than 95 % of the load was acknowledged, or if a lag in the last third is more
than twice that of the first and more than 10 s of messages.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import redis

from headwater import registry
from headwater.model.settings import FleetSettings, Settings
from headwater.model.stores import LEVELS
from headwater.stack import status
from headwater.stack.state import State
from headwater.workers.fleet_model import KINDS, device_name, device_token, kind_of

LOOK_S = 30.0
CONNECT_S = 600.0
"""A fleet that is not connected after so long is a failure by itself."""

LEAST_SHARE = 0.95
TENANT = "soak"


def register(settings: FleetSettings, devices: int) -> None:
    """Makes the devices known, with the tokens that the fleet derives."""
    secret = settings.fleet_token.get_secret_value()
    with psycopg.connect(settings.postgres.get_secret_value()) as connection:
        registry.add_tenant(connection, TENANT)
        for number in range(1, devices + 1):
            name = device_name(number)
            registry.add_device(connection, TENANT, name, device_token(secret, name), kind_of(number))


def written(settings: Settings) -> dict[str, int]:
    """Rows that each store has written since it was made."""
    with psycopg.connect(settings.postgres.get_secret_value()) as connection:
        tables = {
            level.name: connection.execute(
                "select coalesce(sum(n_tup_ins + n_tup_upd), 0)::bigint from pg_stat_user_tables where relname like %s",
                (f"{level.table}%",),
            ).fetchone()
            for level in LEVELS
        }
    found = {f"postgres {name}": int(row[0]) for name, row in tables.items() if row}
    info: Any = redis.Redis.from_url(settings.valkey.get_secret_value(), protocol=2).info("commandstats")
    found["valkey scripts"] = sum(int(value["calls"]) for name, value in info.items() if "evalsha" in name)
    return found


def look(state: State) -> dict[str, dict[str, int]]:
    """Memory (bytes) and lag of every program now."""
    found = status.services(state)
    return {
        "rss": {one.name: one.rss_bytes for one in found if one.rss_bytes},
        "lag": {one.name: one.lag for one in found if one.lag is not None},
    }


def thirds(looks: list[dict[str, dict[str, int]]], what: str) -> dict[str, tuple[float, float]]:
    """Median of the first and of the last third, for each program."""
    part = max(1, len(looks) // 3)
    names = {name for one in looks for name in one[what]}
    middle = {
        name: tuple(
            statistics.median([one[what][name] for one in some if name in one[what]] or [0])
            for some in (looks[:part], looks[-part:])
        )
        for name in sorted(names)
    }
    return {name: (first, last) for name, (first, last) in middle.items()}


def reports(log: Path) -> list[dict[str, int]]:
    """What the fleet has said of itself: acknowledged messages, refusals, messages that it could not send."""
    lines = [line for line in log.read_text().splitlines() if '"acknowledged"' in line]
    return [
        {name: int(value) for name, value in re.findall(r'"(connected|acknowledged|refused|not_sent)": (\d+)', line)}
        for line in lines
    ]


def first_in_line(process: int) -> None:
    """Devices do not wait for the processor of the platform: theirs comes first, where the system lets us say so."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, process, -10)


def connected(log: Path, fleet: subprocess.Popen[bytes], devices: int) -> dict[str, int]:
    """Waits until the fleet says that nearly all its devices are connected; what it said."""
    begun = time.monotonic()
    shown: dict[str, int] = {}
    while time.monotonic() - begun < CONNECT_S and fleet.poll() is None:
        if said := reports(log):
            if said[-1]["connected"] >= 0.99 * devices:
                return said[-1]
            if said[-1] != shown:
                shown = said[-1]
                print(json.dumps({"s": round(time.monotonic() - begun), **shown}), flush=True)
        time.sleep(1)
    raise SystemExit(f"not connected within {CONNECT_S:.0f} s: {reports(log)[-1:]}\n{log.read_text()[-2000:]}")


def run(devices: int, minutes: float, pack: int, metrics: int, whole: bool) -> dict[str, Any]:
    """The whole trial; see the module's docstring."""
    settings, state = FleetSettings(), State.load()
    register(settings, devices)
    each = statistics.mean(min(metrics, len(KINDS[kind_of(number)])) for number in range(1, devices + 1))
    environment = os.environ | {
        "HEADWATER_STATE": str(state.folder),
        "HEADWATER_FLEET_TENANT": TENANT,
        "HEADWATER_FLEET_DEVICES": str(devices),
        "HEADWATER_FLEET_PACK": str(pack),
        "HEADWATER_FLEET_WHOLE": str(whole),
        "HEADWATER_FLEET_CONNECTS": "50",  # while the JVMs still compile
        "HEADWATER_FLEET_METRICS": str(metrics),
        "HEADWATER_FLEET_TOKEN": settings.fleet_token.get_secret_value(),
    }
    with TemporaryDirectory() as folder:
        log = Path(folder) / "fleet.log"
        with log.open("wb") as out:
            fleet = subprocess.Popen(
                [sys.executable, "-m", "headwater.workers.fleet"], env=environment, stdout=out, stderr=out
            )
        try:
            first_in_line(fleet.pid)
            first = connected(log, fleet, devices)
            before, begun, looks = written(settings), time.monotonic(), []
            while time.monotonic() - begun < minutes * 60 and fleet.poll() is None:
                looks.append(look(state))
                print(json.dumps({"s": round(time.monotonic() - begun), "lag": looks[-1]["lag"]}), flush=True)
                time.sleep(LOOK_S)
            seconds = time.monotonic() - begun
            after = written(settings)
        finally:
            fleet.send_signal(signal.SIGTERM)
            fleet.wait(60)
        last = reports(log)[-1]
    rate = devices * each
    done = last["acknowledged"] - first["acknowledged"]
    lags = thirds(looks, "lag")
    return {
        "minutes": round(seconds / 60, 1),
        "devices": devices,
        "messages_of_whole_panes": whole,
        "readings_per_s_offered": round(rate),
        "messages_acknowledged": done,
        "share_acknowledged": round(done / (devices / pack * seconds), 4),
        "connected_at_the_end": last["connected"],
        "messages_refused": last["refused"],
        "messages_not_sent": last["not_sent"],
        "rows_written_per_reading": {
            name: round((after[name] - before[name]) / (rate * seconds), 4) for name in sorted(after)
        },
        "lag_first_and_last_third": lags,
        "mib_first_and_last_third": {
            name: (round(first / 2**20), round(last / 2**20)) for name, (first, last) in thirds(looks, "rss").items()
        },
        "growing": [name for name, (first, last) in lags.items() if last > 2 * first and last > 10 * rate / pack],
    }


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--pack", type=int, default=10)
    parser.add_argument("--metrics", type=int, default=3, help="most metrics of a device (default: 3)")
    parser.add_argument(
        "--whole",
        action="store_true",
        help="messages of whole panes, each sent after a time of its device's own; else each spans two panes",
    )
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the fleet ends, too
    found = run(given.devices, given.minutes, given.pack, given.metrics, given.whole)
    print(json.dumps(found, indent=2))
    return 1 if found["growing"] or found["share_acknowledged"] < LEAST_SHARE else 0


if __name__ == "__main__":
    raise SystemExit(main())
