"""A site that was away for 20 hours comes back and uploads its buffer: how soon are its rows complete?

    python -m bench.away                       # 20 devices x 3 metrics x 20 h at 1 Hz: 4.3 million readings
    python -m bench.away --devices 5 --hours 2

Needs a running stack (`make up`), with its fleet as live traffic beside the upload. Every device sends its buffer over
MQTT with QoS 1 as fast as it is acknowledged. The clock starts at the last acknowledgement and stops when the 10 s rows
in PostgreSQL count every reading; the rows read at that moment must equal the plain reference, and the 1 h rows the
sums of their 10 s rows. Prints the delay of live rows meanwhile too: a late upload must not hold up the present. Exit
code 1 if rows differ.
"""

from __future__ import annotations

import argparse
import json
import threading
import time

import psycopg

from headwater.model.pack import PANE_MS
from headwater.model.settings import Settings
from headwater.model.stores import LEVEL, LOG_TIMES
from headwater.truth import stored
from headwater.truth.load import LoadDevice, Shape, register
from headwater.truth.reference import Expected, Key, fold_readings, rows_differ

HOUR_MS = 3_600_000
STEP_MS = 1_000
PACK = 600
WINDOW = 20
"""Messages of a device in flight."""


def upload(device: LoadDevice, first_ms: int, messages: int) -> None:
    """Sends the whole buffer, a window of messages at a time, and waits for the last acknowledgement."""
    for number in range(messages):
        while len(device.pending) >= WINDOW:
            time.sleep(0.002)
            device.settle()
        device.send_old(first_ms + number * PACK * STEP_MS, STEP_MS)
    while device.pending:
        time.sleep(0.01)
        device.settle()


def behind_s(url: str) -> float:
    """How far the log time that PostgreSQL has taken in is behind this moment: the delay of live rows."""
    with psycopg.connect(url) as connection:
        row = connection.execute(f"select min(log_time) from {LOG_TIMES}").fetchone()
    return time.time() - row[0] / 1_000 if row and row[0] else float("nan")


def readings_counted(url: str, tenant: str) -> int:
    """Readings that the 10 s rows of a tenant count, each once: a cheap question, so that asking holds nothing up."""
    with psycopg.connect(url) as connection:
        row = connection.execute(f"select sum(count) from {LEVEL['10s'].table} where tenant = %s", (tenant,)).fetchone()
    return int(row[0] or 0) if row else 0


def rollups_wrong(url: str, tenant: str) -> int:
    """1 h rows that are not the sums of their 10 s rows."""
    fine, coarse = LEVEL["10s"].table, LEVEL["1h"].table
    with psycopg.connect(url) as connection:
        row = connection.execute(
            f"with wanted as (select device, metric, date_trunc('hour', pane) as pane, sum(count) as count, "
            f"sum(sum) as sum from {fine} where tenant = %(t)s group by 1, 2, 3), "
            f"got as (select device, metric, bucket as pane, count, sum from {coarse} where tenant = %(t)s) "
            f"select count(*) from wanted full join got using (device, metric, pane) where wanted.count is null "
            f"or got.count is distinct from wanted.count or abs(got.sum - wanted.sum) > 1e-9 * abs(wanted.sum) + 1e-9",
            {"t": tenant},
        ).fetchone()
    return int(row[0]) if row else -1


def run(devices: int, hours: float, tenant: str) -> dict[str, object]:
    """The whole trial; see the module's docstring."""
    settings = Settings()
    url = settings.postgres.get_secret_value()
    tokens = register(url, tenant, (f"site-{number:03d}" for number in range(devices)))
    shape = Shape(devices=devices, metrics=3, pack=PACK, every_ms=PACK)
    site = [LoadDevice(tenant, name, token, shape) for name, token in tokens.items()]
    for device in site:
        device.connect(settings.mqtt)
    messages = int(hours * HOUR_MS / (PACK * STEP_MS))
    first_ms = (time.time_ns() // 1_000_000 - int((hours + 1) * HOUR_MS)) // PANE_MS * PANE_MS
    begun = time.monotonic()
    threads = [threading.Thread(target=upload, args=(device, first_ms, messages)) for device in site]
    delays: list[float] = []
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        delays.append(behind_s(url))
        time.sleep(1)
    ended = time.monotonic()
    offered = devices * messages * PACK * shape.metrics
    while (counted := readings_counted(url, tenant)) < offered and time.monotonic() - ended < 600:
        delays.append(behind_s(url))
        time.sleep(1)
    with psycopg.connect(url) as connection:
        found = stored.rows(connection, tenant)
    complete_s = time.monotonic() - ended
    expected: dict[Key, Expected] = fold_readings(one for device in site for one in device.readings())
    missing, extra, different = rows_differ(expected, found)
    until = time.monotonic() + 120
    while (wrong := rollups_wrong(url, tenant)) and time.monotonic() < until:
        time.sleep(1)
    return {
        "readings": sum(row.count for row in expected.values()),
        "rows": len(expected),
        "upload_s": round(ended - begun, 1),
        "readings_per_s": round(sum(row.count for row in expected.values()) / (ended - begun)),
        "complete_after_s": round(complete_s, 1),
        "readings_counted": counted,
        "missing": len(missing),
        "extra": len(extra),
        "different": len(different),
        "rollups_wrong": wrong,
        "live_delay_max_s": round(max(delays), 2),
    }


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=20)
    parser.add_argument("--hours", type=float, default=20)
    parser.add_argument("--tenant", default=None, help="default: a new one")
    given = parser.parse_args()
    found = run(given.devices, given.hours, given.tenant or f"away-{int(time.time())}")
    print(json.dumps(found, indent=2))
    return 1 if found["missing"] or found["extra"] or found["different"] or found["rollups_wrong"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
