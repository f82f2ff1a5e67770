"""Random logs for the alerting job: packs with disorder and pauses, rules and devices edited at any time.

Each log is a tenant of its own, repeatable by seed, and stamped as Kafka would: records of one moment tie.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from headwater.model import topics
from headwater.model.alert import AlertEvent
from headwater.model.codec import device_key, rule_key
from headwater.model.device import DeviceRecord
from headwater.model.pack import Pack, pane_of
from headwater.model.rule import (
    Condition,
    Equals,
    Range,
    Rate,
    Rule,
    Scope,
    Severity,
    Silence,
    Step,
    Subject,
    Threshold,
)
from headwater.rules.desk import subject_of
from headwater.rules.evaluate import Appended, Of, evaluate
from headwater.rules.item import slices

START_MS = 1_760_000_000_000
DEVICES = [f"d{number}" for number in range(8)]
RULES = 5
BEAT_EVERY_MS = 250
CONTROL = (topics.ALERT_RULES, topics.DEVICE_REGISTRY)

CONDITIONS: list[Condition] = [
    Threshold(metric="a", above=7.0, clear=5.0, escalate=[Step(severity="critical", level=9.0)]),
    Threshold(metric="a", below=2.0, hold_ms=300),
    Range(metric="b", low=2.0, high=9.0, margin=1.0),
    Rate(metric="b", above=3.0, per_ms=100),
    Silence(for_ms=1_500),
    Silence(metric="b", for_ms=1_200),
    Equals(metric="mode", values=["fault"]),
]
SCOPES = [Scope(), Scope(), Scope(site="north"), Scope(tag="hot"), Scope(device="d1")]
MILD: list[Severity] = ["warning", "minor"]


class Entry(NamedTuple):
    """A record where it belongs: its log time (epoch ms), topic, partition and key. Without a record it is a beat."""

    log_time: int
    topic: topics.Topic
    partition: int
    key: bytes
    record: Pack | Rule | DeviceRecord | None


def partition_of(name: str, partitions: int) -> int:
    """Of a device or rule."""
    return sum(name.encode()) % partitions


def random_log(seed: int, tenant: str, partitions: int, steps: int = 700) -> list[Entry]:
    """One tenant's packs and edits, by log time."""
    rng, now, log = random.Random(seed), START_MS, []
    rules, devices = dict.fromkeys(range(RULES), 0), dict.fromkeys(DEVICES, 0)
    for number in range(steps):
        now += rng.choice([0, 3, 20, 60])
        if number < RULES or rng.random() < 0.04:
            rule = number if number < RULES else rng.choice(list(rules))
            rules[rule] += 1
            record: Rule | DeviceRecord = _edit(rng, tenant, f"r{rule}", rules[rule])
            place = partition_of(f"r{rule}", partitions)
            log.append(Entry(now, topics.ALERT_RULES, place, rule_key(tenant, f"r{rule}").encode(), record))
        if rng.random() < 0.04:
            device = rng.choice(DEVICES)
            devices[device] += 1
            record = _move(rng, tenant, now, device, devices[device])
            place = partition_of(device, partitions)
            log.append(Entry(now, topics.DEVICE_REGISTRY, place, device_key(tenant, device), record))
        # Half of them are silent for a while in the middle.
        device = rng.choice(DEVICES[: 4 if steps / 3 < number < steps / 2 else 8])
        pack = _measured(rng, tenant, now, device)
        log.append(Entry(now, topics.RAW, partition_of(device, partitions), device_key(tenant, device), pack))
    return log


def merged(logs: Iterable[list[Entry]]) -> list[Entry]:
    """Several logs as one."""
    return list(heapq.merge(*logs, key=lambda entry: entry.log_time))


def with_beats(log: Iterable[Entry], partitions: int, control: tuple[topics.Topic, ...] = CONTROL) -> Iterator[Entry]:
    """The log with beats on the control topics, which say how far these are."""
    due = 0
    for entry in log:
        if entry.log_time >= due:
            yield from beats(control, entry.log_time, partitions)
            due = entry.log_time + BEAT_EVERY_MS
        yield entry


def beats(of: Iterable[topics.Topic], log_time: int, partitions: int) -> Iterator[Entry]:
    """A beat on every partition of some topics."""
    return (Entry(log_time, topic, partition, b"_pulse/x", None) for topic in of for partition in range(partitions))


def expected(log: Iterable[Entry], until: int, delay_ms: int) -> list[AlertEvent]:
    """What the evaluator says of a whole log up to `until` (log time, epoch ms)."""
    log = list(log)
    packs = [(entry.log_time, entry.record) for entry in log if isinstance(entry.record, Pack)]
    items = [Of(pack.tenant, pack.device, item) for now, pack in packs for item in slices(pack, now)]
    rules = [Appended(entry.log_time, entry.record) for entry in log if isinstance(entry.record, Rule)]
    subjects: dict[tuple[str, str], list[Subject]] = {}
    for entry in log:
        if isinstance(entry.record, DeviceRecord):
            history = subjects.setdefault((entry.record.tenant, entry.record.device), [])
            history.append(subject_of(entry.record, entry.log_time + delay_ms))
    return evaluate(items, rules, subjects, until, delay_ms)


def _measured(rng: random.Random, tenant: str, now: int, device: str) -> Pack:
    ts = sorted({now - rng.randint(0, 200) for _ in range(rng.randint(1, 4))})
    pane = pane_of(ts[0])
    at = [one - pane for one in ts if pane_of(one) == pane]
    values = {name: [float(rng.randint(0, 11)) for _ in at] for name in ("a", "b") if rng.random() < 0.8}
    texts = {"mode": [rng.choice(["run", "fault"]) for _ in at]} if rng.random() < 0.3 or not values else {}
    return Pack(v=1, tenant=tenant, device=device, pane=pane, at=at, metrics=values, texts=texts, received=ts[-1])


def _edit(rng: random.Random, tenant: str, name: str, version: int) -> Rule:
    return Rule(
        v=1,
        tenant=tenant,
        rule=name,
        version=version,
        severity=rng.choice(MILD),
        when=rng.choice(CONDITIONS),
        scope=rng.choice(SCOPES),
        enabled=rng.random() < 0.9,
        deleted=rng.random() < 0.05,
    )


def _move(rng: random.Random, tenant: str, now: int, device: str, version: int) -> DeviceRecord:
    return DeviceRecord(
        v=1,
        tenant=tenant,
        device=device,
        version=version,
        changed_ms=now,
        deleted=rng.random() < 0.1,
        site=rng.choice(["north", "south", None]),
        tags=rng.choice([[], ["hot"]]),
    )
