"""Random logs that hold every trap the aggregation must survive, repeatable by seed.

Exact duplicates, duplicates that were cut differently and overlap in part (copies carry other values, so that a wrong
"first" shows in the sums), disorder inside the horizon, packs later than the horizon, by hours, by a day, and right at
its edge, two metrics at one stamp, stamps that carry different metrics, panes with holes, wrong clocks, devices that
come late and go early, texts, pulses.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from headwater.model.codec import VERSION, device_key
from headwater.model.pack import PANE_MS, PULSE_TENANT, Pack, pane_of
from headwater.truth.reference import Record

START_MS = 1_760_000_000_000
HOUR_MS = 3_600_000
COPY = 1_000.0
"""What is added to each value of a copy."""

SETS: tuple[tuple[str, ...], ...] = (
    ("humidity", "temperature"),
    ("humidity", "temperature"),
    ("temperature",),
    ("pressure",),
)
"""Metric sets that a stamp may carry; a stamp keeps its set in every copy, as a door would make it."""


@dataclass(frozen=True)
class LogShape:
    """How a random log looks. `hz` is stamps a second and device; delays are in ms of log time.

    `exact` to `disorder` and `hours`, `day` are shares of messages or packs; `clocks` and `moving` of devices. A wrong
    clock is at most `ahead_ms` fast, or hours slow. A device that moves is there for a part of the time.
    """

    devices: int = 8
    seconds: int = 60
    hz: float = 2.0
    partitions: int = 2
    cap: int = 32
    horizon_ms: int = 60_000
    tenant: str = "t1"
    exact: float = 0.12
    recut: float = 0.15
    late: float = 0.04
    edge: float = 0.03
    disorder: float = 0.2
    hours: float = 0.0
    day: float = 0.0
    clocks: float = 0.0
    moving: float = 0.0
    ahead_ms: int = 300_000
    start_ms: int = START_MS


@dataclass(frozen=True)
class Stamp:
    """All that a device measured at one moment."""

    ts: int
    values: tuple[tuple[str, float], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The metric set."""
        return tuple(name for name, _ in self.values)


def cut(tenant: str, device: str, stamps: Iterable[Stamp], cap: int, received: int) -> Iterator[Pack]:
    """Packs of `stamps` as a door cuts them: one metric set, one pane, at most `cap` stamps, offsets ascending."""
    ordered = sorted(stamps, key=lambda stamp: (stamp.names, stamp.ts))
    for (names, pane), group in groupby(ordered, key=lambda stamp: (stamp.names, pane_of(stamp.ts))):
        members = list(group)
        for begin in range(0, len(members), cap):
            part = members[begin : begin + cap]
            yield Pack(
                v=VERSION,
                tenant=tenant,
                device=device,
                pane=pane,
                at=[stamp.ts - pane for stamp in part],
                metrics={name: [dict(stamp.values)[name] for stamp in part] for name in names},
                texts={"state": ["ok"] * len(part)} if names == ("pressure",) else {},
                received=received,
            )


def measured(rng: random.Random, shape: LogShape) -> list[Stamp]:
    """What one device measures: uneven stamps, several metric sets, some panes left out."""
    stamps: list[Stamp] = []
    ts, end = shape.start_ms + rng.randrange(PANE_MS), shape.start_ms + shape.seconds * 1_000
    if shape.moving and rng.random() < shape.moving:
        ts, end = sorted((rng.randrange(ts, end), rng.randrange(ts, end)))
    while ts < end:
        if rng.random() < 0.01:
            ts += 2 * PANE_MS
        values = tuple((name, round(rng.gauss(20, 9), rng.choice((0, 2, 6)))) for name in rng.choice(SETS))
        stamps.append(Stamp(ts, values))
        ts += max(1, int(rng.expovariate(1.0) * 1_000 / shape.hz))
    return stamps


def delay_of(rng: random.Random, shape: LogShape, pack: Pack) -> int:
    """How long after the pack's last stamp Kafka appends it (ms)."""
    end = pack.pane + PANE_MS + shape.horizon_ms
    draw = rng.random()
    if draw < shape.edge:
        return end - (pack.pane + pack.at[-1]) + rng.choice((-1, 0, 1))
    if draw < shape.edge + shape.late:
        return end - (pack.pane + pack.at[-1]) + rng.randrange(1, 4 * shape.horizon_ms)
    if draw < shape.edge + shape.late + shape.disorder:
        return rng.randrange(shape.horizon_ms)
    if draw > 1 - shape.day:
        return rng.randrange(20 * HOUR_MS, 28 * HOUR_MS)
    if draw > 1 - shape.day - shape.hours:
        return rng.randrange(HOUR_MS, 12 * HOUR_MS)
    return rng.randrange(20, 900)


def clock_of(rng: random.Random, shape: LogShape) -> int:
    """By how much (ms) the stamps of a device are ahead of the time at which they were measured; mostly 0."""
    if not shape.clocks or rng.random() >= shape.clocks:
        return 0
    return rng.choice((rng.randrange(shape.ahead_ms), -rng.randrange(6 * HOUR_MS)))


def sent(rng: random.Random, shape: LogShape, device: str) -> Iterator[tuple[int, Pack]]:
    """(log time, pack) of one device, copies included, in the order of sending."""
    stamps, clock = measured(rng, shape), clock_of(rng, shape)
    begin = 0
    while begin < len(stamps):
        end = begin + rng.randrange(1, int(shape.cap * 1.3))
        message = stamps[begin:end]
        copies = [message]
        if rng.random() < shape.exact:
            copies.append([changed(stamp, COPY) for stamp in message])
        if rng.random() < shape.recut:
            other = stamps[max(0, begin - rng.randrange(shape.cap)) : begin + rng.randrange(1, shape.cap)]
            copies.append([changed(stamp, 2 * COPY) for stamp in other])
        for copy in copies:
            for pack in cut(shape.tenant, device, copy, shape.cap, copy[-1].ts + 5):
                yield pack.pane + pack.at[-1] - clock + delay_of(rng, shape, pack), pack
        begin = end


def changed(stamp: Stamp, by: float) -> Stamp:
    """The same stamp with other values."""
    return Stamp(stamp.ts, tuple((name, value + by) for name, value in stamp.values))


def pulses(shape: LogShape) -> Iterator[tuple[int, int, Pack]]:
    """(log time, partition, pack) of a beat each second."""
    for partition in range(shape.partitions):
        for second in range(shape.seconds):
            ts = shape.start_ms + second * 1_000 + 7
            device = f"raw-sensor-data-{partition}"
            pane = pane_of(ts)
            beat = Pack(
                v=VERSION, tenant=PULSE_TENANT, device=device, pane=pane, at=[ts - pane], metrics={"beat": [1.0]}
            )
            yield ts, partition, beat


def random_log(seed: int, shape: LogShape, with_pulses: bool = True) -> list[Record]:
    """The whole log, each partition in the order of its log time, offsets from 0."""
    rng = random.Random(seed)
    packs: list[tuple[int, int, Pack]] = list(pulses(shape)) if with_pulses else []
    for number in range(shape.devices):
        device = f"d{number:03d}"
        partition = zlib.crc32(device_key(shape.tenant, device)) % shape.partitions
        packs += ((log_time, partition, pack) for log_time, pack in sent(rng, shape, device))
    packs.sort(key=lambda entry: entry[0])
    offsets = [0] * shape.partitions
    log = []
    for log_time, partition, pack in packs:
        log.append(Record(pack, partition, offsets[partition], log_time))
        offsets[partition] += 1
    return log


def shuffled(seed: int, log: Iterable[Record], most_ms: int) -> list[Record]:
    """The same packs in another order and later, some by up to `most_ms`: another way for the same readings.

    Packs of one pane of a device keep their order, so the first copy of each reading stays the first.
    """
    rng = random.Random(seed)
    latest: dict[tuple[str, str, int], int] = {}
    moved: list[Record] = []
    for record in log:
        key = (record.pack.tenant, record.pack.device, record.pack.pane)
        by = rng.choice((0, rng.randrange(2_000), rng.randrange(120_000), rng.randrange(1, most_ms)))
        latest[key] = max(latest.get(key, 0), record.log_time + by)
        moved.append(record._replace(log_time=latest[key]))
    return numbered(moved)


def numbered(log: Iterable[Record]) -> list[Record]:
    """The records by log time, with offsets as Kafka will give them; ties keep their order."""
    offsets: dict[int, int] = {}
    ordered = []
    for record in sorted(log, key=lambda record: record.log_time):
        offset = offsets.get(record.partition, 0)
        offsets[record.partition] = offset + 1
        ordered.append(record._replace(offset=offset))
    return ordered
