"""Random logs for the enrichment job: packs with disorder, copies and pauses, devices edited at any time.

Each log is a tenant of its own, repeatable by seed, and stamped as Kafka would: packs and edits of one moment tie. Some
devices are never registered, or only after their first packs; they move, lose their model, are deleted and made again;
versions come again unchanged. A day after all else each device sends once more.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from headwater.model.codec import VERSION, device_key
from headwater.model.device import DeviceRecord, MetricOfModel
from headwater.model.pack import PANE_MS, Pack, pane_of
from headwater.model.topics import DEVICE_REGISTRY, RAW
from headwater.truth.alert_logs import START_MS, Entry, partition_of
from headwater.truth.enriched import Enriched, Known, Place, Versions
from headwater.truth.span import Entry as Stored

DEVICES = [f"d{number}" for number in range(8)]
STRANGER = "never-registered"
DAY_MS = 86_400_000
ZONES = {"north": "Europe/Vienna", "south": "Africa/Lagos", None: None}


class Row(NamedTuple):
    """An enriched pack: its key and log time (epoch ms), all that was measured, all that is said of its device."""

    key: bytes
    log_time: int
    pack: Pack
    known: Known


class Difference(NamedTuple):
    """Packs that are not there, that nobody sent, that say something else; and how many records were repeats."""

    missing: list[Place]
    extra: list[Place]
    wrong: list[Place]
    repeats: int

    @property
    def none(self) -> bool:
        """True if rows in are rows out."""
        return not (self.missing or self.extra or self.wrong)


def random_log(seed: int, tenant: str, partitions: int, steps: int = 700) -> list[Entry]:
    """One tenant's packs and edits, by log time."""
    rng, now, log = random.Random(seed), START_MS, []
    known: dict[str, DeviceRecord] = {}
    before: list[Pack] = []

    def add(record: Pack | DeviceRecord) -> None:
        topic = RAW if isinstance(record, Pack) else DEVICE_REGISTRY
        place = partition_of(record.device, partitions)
        log.append(Entry(now, topic, place, device_key(tenant, record.device), record))

    for _ in range(steps):
        now += rng.choice([0, 0, 1, 7, 40]) if rng.random() < 0.99 else 60_000
        pack = _measured(rng, tenant, now, rng.choice([*DEVICES, STRANGER]))
        if before and rng.random() < 0.05:
            pack = rng.choice(before[-20:])
        before.append(pack)
        edited = [rng.choice(DEVICES)] * rng.choice([1, 1, 2]) if rng.random() < 0.12 else []
        first = rng.random() < 0.5  # of one moment the edit counts, whichever of both was written first
        if not first:
            add(pack)
        for device in edited:
            if device not in known or rng.random() < 0.7:
                known[device] = _edit(rng, tenant, now, device, known[device].version + 1 if device in known else 1)
            add(known[device])
        if first:
            add(pack)
    now += DAY_MS
    for device in [*DEVICES, STRANGER]:
        add(_measured(rng, tenant, now, device))
    return log


def expected(log: Iterable[Entry]) -> dict[Place, Row]:
    """What must come out of a whole log, whose packs have the first offsets of their partitions, in this order."""
    log, versions, rows = list(log), Versions(), dict[Place, Row]()
    for entry in log:
        if isinstance(entry.record, DeviceRecord):
            versions.take(entry.record, entry.log_time)
    offsets: Counter[int] = Counter()
    for entry in log:
        if isinstance(entry.record, Pack):
            known = versions.at(entry.record.tenant, entry.record.device, entry.log_time)
            rows[entry.partition, offsets[entry.partition]] = Row(entry.key, entry.log_time, entry.record, known)
            offsets[entry.partition] += 1
    return rows


def compare(wanted: Mapping[Place, Row], said: Iterable[Stored]) -> Difference:
    """What is on `enriched-data` beside what must be; a repeat must say the same as the first."""
    extra, wrong, found, records = set[Place](), set[Place](), set[Place](), 0
    for entry in said:
        row, records = msgspec.json.decode(entry.value or b"", type=Enriched), records + 1
        found.add(row.place)
        pack = msgspec.json.decode(entry.value or b"", type=Pack)
        if row.place not in wanted:
            extra.add(row.place)
        elif wanted[row.place] != Row(entry.key or b"", entry.log_time, pack, row.known):
            wrong.add(row.place)
    return Difference(sorted(wanted.keys() - found), sorted(extra), sorted(wrong), records - len(found))


def without_an_edit(log: list[Entry]) -> tuple[list[Entry], str, list[Place]]:
    """For a control: the log without the first edit that has an effect, its tenant, and the packs that then differ."""
    whole = expected(log)
    for edit in log:
        if isinstance(edit.record, DeviceRecord) and edit.record.version > 1:
            less = [entry for entry in log if entry is not edit]
            rows = expected(less)
            if harm := sorted(place for place in whole if rows[place] != whole[place]):
                return less, edit.record.tenant, harm
    raise ValueError("no edit of a device in this log has an effect")


def _measured(rng: random.Random, tenant: str, now: int, device: str) -> Pack:
    # Some devices send what they measured hours ago: log time alone decides what is said of them.
    ts = now - rng.choice([0, 0, rng.randint(0, 200), rng.randint(0, 20_000_000)])
    pane = pane_of(ts)
    at = sorted({ts - pane, *(rng.randrange(PANE_MS) for _ in range(rng.randint(0, 3)))})
    values = {name: [round(rng.gauss(20, 9), 3) for _ in at] for name in ("a", "b") if rng.random() < 0.8}
    texts = {"mode": [rng.choice(["run", "stopped", 'º/"']) for _ in at]} if rng.random() < 0.3 or not values else {}
    flags = {"open": [rng.random() < 0.5 for _ in at]} if rng.random() < 0.2 else {}
    return Pack(
        v=VERSION,
        tenant=tenant,
        device=device,
        pane=pane,
        at=at,
        metrics=values,
        texts=texts,
        flags=flags,
        received=now,
    )


def _edit(rng: random.Random, tenant: str, now: int, device: str, version: int) -> DeviceRecord:
    if rng.random() < 0.1:
        return DeviceRecord(v=VERSION, tenant=tenant, device=device, version=version, changed_ms=now, deleted=True)
    site, model = rng.choice(["north", "south", None]), rng.choice(["boiler", "pump", None])
    return DeviceRecord(
        v=VERSION,
        tenant=tenant,
        device=device,
        version=version,
        changed_ms=now,
        kind=rng.choice(["sensor", "gateway", ""]),
        site=site,
        zone=ZONES[site],
        model=model,
        metrics={} if model is None else {name: _metric(rng) for name in rng.sample(["a", "b", "mode"], 2)},
        tags=sorted(rng.sample(["hot", "old", "roof"], rng.randint(0, 3))),
    )


def _metric(rng: random.Random) -> MetricOfModel:
    low, high = rng.choice([(None, None), (0.0, 10.5), (-40.0, None)])
    return MetricOfModel(
        unit=rng.choice(["bar", "°C", ""]),
        scale=rng.choice([1.0, 0.1]),
        low=low,
        high=high,
        sensitivity=rng.choice([None, 0.5]),
        title=rng.choice(["", "Flow"]),
    )
