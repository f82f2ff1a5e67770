"""Random logs through the real job, five ways, and the same rows each time.

    python -m bench.truth --logs 1000 --seed 1

Each log is a tenant of its own: devices with exact and re-cut duplicates, partial overlaps, disorder, readings late by
seconds, hours and a day, wrong clocks inside the bounds, missing values, several metrics with different stamps, devices
that move on. All of them run through one Kafka, one Flink cluster (RocksDB) and one raw store, started for this:

- live: the job runs while the log is appended;
- replay: the job reads the finished log from its beginning;
- shuffled: the same packs in another order, delayed by up to a day;
- restarted: the job goes on from a savepoint that is older than what it has published;
- rebuilt: the job starts again with empty state, rewound by horizon, pane and clocks.

What the job names on `corrections` is folded from the raw store, as the corrections worker does. The rows must be
those of the plain reference, which knows no time: 0 missing, 0 extra, values to a relative 1e-9. The control
(of some logs a pack is left out) must be found in exactly those logs. Exit code 1 on any difference, or if it is not.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from bench.truth_ways import WAYS, Lab, replay, small_stack
from connectors.sinks.base import newer
from connectors.sinks.clickhouse import ClickHouseSink, Records
from connectors.sinks.clickhouse import Record as RawRecord
from headwater.model.codec import decode, encode
from headwater.model.pack import PANE_MS, PULSE_TENANT, Aggregate, Correction
from headwater.model.settings import SinkSettings
from headwater.model.topics import CORRECTIONS, PROCESSED
from headwater.raw.client import connect_to
from headwater.raw.panes import PaneSpan, fold
from headwater.stack import clickhouse
from headwater.truth.logs import HOUR_MS, START_MS, LogShape, numbered, random_log, shuffled
from headwater.truth.reference import Key, Record, Reference, rows_differ

EVER_MS = 10**12
COLUMNS = ("count", "sum", "sum_sq", "min", "max", "first_ms", "last_ms", "last")
HORIZON_MS = 60_000
CONTROLS = 20


def shape(seed: int, number: int) -> LogShape:
    """The shape of one log: when it starts (within two hours), how dense it is, how many devices it has."""
    rng = random.Random(f"{seed}/{number}")
    return LogShape(
        tenant=f"log{number:05d}",
        devices=rng.randrange(1, 4),
        seconds=rng.choice((25, 40, 60)),
        hz=rng.choice((0.5, 1.0, 3.0, 9.0)),
        partitions=4,
        horizon_ms=HORIZON_MS,
        hours=0.03,
        day=0.02,
        clocks=0.25,
        moving=0.25,
        start_ms=START_MS + rng.randrange(2 * HOUR_MS // PANE_MS) * PANE_MS,
    )


def whole_log(seed: int, logs: int) -> list[Record]:
    """All logs in one, by log time."""
    found = (random_log(seed * 1_000_003 + number, shape(seed, number), with_pulses=False) for number in range(logs))
    return numbered(record for log in found for record in log)


def reference(log: Iterable[Record]) -> dict[Key, tuple[Any, ...]]:
    """What the rows must be: all readings folded in the order of the log, however late."""
    plain = Reference(EVER_MS)
    for record in log:
        plain.take(record)
    return {key: columns(row) for key, row in plain.rows().items()}


def columns(row: Aggregate) -> tuple[Any, ...]:
    """What the readings alone determine."""
    return tuple(getattr(row, name) for name in COLUMNS)


def rows_of(lab: Lab, prefix: str, log: Sequence[Record]) -> tuple[dict[Key, Any], int, int]:
    """(what a store holds in the end, rows published by the job, corrections that were folded from the raw store)."""
    rows: dict[Key, Aggregate] = {}
    published = 0
    for entry in lab.reader.read(lab.reader.span(prefix + PROCESSED.name)):
        row = decode(Aggregate, entry.value or b"")
        published += 1
        if row.tenant != PULSE_TENANT:
            apply(rows, row)
    found = [decode(Correction, e.value or b"") for e in lab.reader.read(lab.reader.span(prefix + CORRECTIONS.name))]
    for row in corrected(lab, prefix, log, found):
        held = rows.get(row.key)
        generation = max(lab.settings.generation, held.generation if held else 0)
        apply(rows, msgspec.structs.replace(row, generation=generation))
    return {key: columns(row) for key, row in rows.items()}, published, len(found)


def apply(rows: dict[Key, Aggregate], row: Aggregate) -> None:
    """As the sinks apply a row: by its version."""
    held = rows.get(row.key)
    if held is None or newer(row, held):
        rows[row.key] = row


def corrected(lab: Lab, prefix: str, log: Sequence[Record], found: list[Correction]) -> Iterator[Aggregate]:
    """The rows of the panes that the corrections name, from a raw store that took the same log in."""
    url = fresh_store(lab.state.url("clickhouse"), prefix)
    sink = ClickHouseSink(SinkSettings(clickhouse=url, keep_raw_days=3_650))
    sink.log_id = prefix
    sink.positions()
    for begin in range(0, len(log), 20_000):
        part = log[begin : begin + 20_000]
        sink.store(Records([RawRecord(r.partition, r.offset, r.log_time, encode(r.pack)) for r in part]))
    sink.disconnect()
    client = connect_to(url)
    wanted: dict[PaneSpan, set[str]] = {}
    for one in found:
        span = PaneSpan(one.tenant, one.device, one.pane, one.pane + PANE_MS)
        wanted.setdefault(span, set()).update(one.metrics)
    spans = sorted(wanted)
    for begin in range(0, len(spans), 500):
        few = spans[begin : begin + 500]
        for row in fold(client, few, {metric for span in few for metric in wanted[span]}):
            if row.metric in wanted[PaneSpan(row.tenant, row.device, row.pane, row.pane + PANE_MS)]:
                yield row
    client.command(f"drop database {store_name(prefix)}")
    client.close()


def store_name(prefix: str) -> str:
    """The database of one run."""
    return f"truth_{prefix.strip('-').replace('-', '_')}"


def fresh_store(server_url: str, prefix: str) -> str:
    """The URL of an empty raw store of its own."""
    client = connect_to(server_url)
    client.command(f"create database {store_name(prefix)}")
    client.close()
    url = urlsplit(server_url)._replace(path=f"/{store_name(prefix)}").geturl()
    clickhouse.migrate(url)
    return url


@dataclass
class Verdict:
    """What one way gave, against the reference."""

    way: str
    rows: int
    published: int
    corrections: int
    missing: int
    extra: int
    different: int
    seconds: float
    examples: list[str]

    @property
    def good(self) -> bool:
        """True if the rows are those of the reference."""
        return not (self.missing or self.extra or self.different)


def play(lab: Lab, way: str, log: list[Record], expected: dict[Key, Any]) -> Verdict:
    """Plays the log one way, and compares."""
    begun, prefix = time.monotonic(), f"{way}-{uuid.uuid4().hex[:6]}-"
    lab.make_topics(prefix)
    WAYS[way](lab, prefix, log)
    rows, published, corrections = rows_of(lab, prefix, log)
    missing, extra, different = rows_differ(expected, rows)
    examples = [str(one) for one in (*missing[:2], *extra[:2], *different[:2])]
    seconds = time.monotonic() - begun
    return Verdict(
        way, len(rows), published, corrections, len(missing), len(extra), len(different), round(seconds, 1), examples
    )


def without_some(log: list[Record], tenants: Sequence[str]) -> list[Record]:
    """The control: of each of these logs one pack is left out that holds the only copy of its readings."""
    copies: dict[tuple[str, str, int], int] = {}
    for record in log:
        for at in record.pack.at:
            key = (record.pack.tenant, record.pack.device, record.pack.pane + at)
            copies[key] = copies.get(key, 0) + 1
    left, kept = set(tenants), []
    for record in log:
        pack = record.pack
        single = all(copies[pack.tenant, pack.device, pack.pane + at] == 1 for at in pack.at)
        if pack.tenant in left and single and pack.metrics:
            left.discard(pack.tenant)
        else:
            kept.append(record)
    return numbered(kept)


def control(lab: Lab, log: list[Record]) -> tuple[int, int]:
    """(logs of which a pack was left out, of these found); raises if another log differs too."""
    tenants = sorted({record.pack.tenant for record in log})[: 2 * CONTROLS]
    small = numbered(record for record in log if record.pack.tenant in tenants)
    harmed = without_some(small, tenants[::2])
    prefix = f"control-{uuid.uuid4().hex[:6]}-"
    lab.make_topics(prefix)
    replay(lab, prefix, harmed)
    rows, _, _ = rows_of(lab, prefix, harmed)
    missing, extra, different = rows_differ(reference(small), rows)
    differing = {key[0] for key in (*missing, *extra, *(one[0] for one in different))}
    lacking = {r.pack.tenant for r in small} - {t for t, n in _sizes(small).items() if n == _sizes(harmed).get(t)}
    if not differing <= lacking:
        raise RuntimeError(f"logs that were whole differ: {sorted(differing - lacking)[:5]}")
    return len(lacking), len(differing)


def _sizes(log: Iterable[Record]) -> Counter[str]:
    return Counter(record.pack.tenant for record in log)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--way", action="append", choices=tuple(WAYS), help="only this way (repeatable)")
    parser.add_argument("--state", type=Path, help="folder of the small stack (default: a new one, removed at the end)")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = given.state or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headwater-truth-")))
        log = whole_log(given.seed, given.logs)
        expected = reference(log)
        figures = described(log, expected)
        print(json.dumps({"logs": given.logs, "seed": given.seed, **figures}), flush=True)
        lab = stack.enter_context(small_stack(folder, HORIZON_MS))
        good = True
        for way in given.way or WAYS:
            played = shuffled(given.seed, log, 24 * HOUR_MS) if way == "shuffled" else log
            verdict = play(lab, way, played, expected)
            good = good and verdict.good
            print(json.dumps({**verdict.__dict__, "good": verdict.good}), flush=True)
        harmed, found = control(lab, log)
    good = good and harmed == found > 0
    print(
        f"{'good' if good else 'BAD'}: {given.logs} logs, {figures['readings']:,} readings in {len(expected):,} rows, "
        f"{len(given.way or WAYS)} ways; control: {found} of {harmed} harmed logs found"
    )
    return 0 if good else 1


def described(log: list[Record], expected: dict[Key, Any]) -> dict[str, int]:
    """How much of what the log holds."""
    offered = sum(len(record.pack.at) * len(record.pack.metrics) for record in log)
    readings = sum(row[0] for row in expected.values())
    late = [record.log_time - record.pack.pane - PANE_MS - HORIZON_MS for record in log]
    return {
        "packs": len(log),
        "offered": offered,
        "readings": readings,
        "duplicates": offered - readings,
        "rows": len(expected),
        "late_packs": sum(one > 0 for one in late),
        "late_by_hours": sum(one > HOUR_MS for one in late),
        "late_by_a_day": sum(one > 20 * HOUR_MS for one in late),
    }


if __name__ == "__main__":
    sys.exit(main())
