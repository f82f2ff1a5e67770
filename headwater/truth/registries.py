"""Random registries for the devices of a log, repeatable by seed: what sites and models must survive.

Devices that are never registered, that are only after their first readings, that have no site or no model, that move to
and fro, that are deleted and made again; versions that come again unchanged, two versions at one log time, and versions
at the very log time of a pack.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import NamedTuple

from headwater.model.codec import VERSION
from headwater.model.device import DeviceRecord, MetricOfModel
from headwater.truth.reference import Record, Registry

SITES = ("north", "south", None)
MODELS = ("boiler", "pump", None)


class Said(NamedTuple):
    """A record where it lies on `device-registry`. `log_time` is UTC epoch ms."""

    record: DeviceRecord
    partition: int
    log_time: int


def random_registry(seed: int, log: Iterable[Record], edits: int = 6) -> list[Said]:
    """What is said of the devices of `log` while it is written, about `edits` times each, by log time.

    A fifth of the devices is never registered.
    """
    rng = random.Random(seed)
    times: dict[tuple[str, str, int], list[int]] = {}
    for record in log:
        key = (record.pack.tenant, record.pack.device, record.partition)
        if not key[0].startswith("_"):
            times.setdefault(key, []).append(record.log_time)
    said: list[Said] = []
    for (tenant, device, partition), stamps in times.items():
        if rng.random() < 0.2:
            continue
        # The late and the last of all take no part: an edit that nothing follows would show nothing.
        usual = sorted(stamps)[: max(1, int(len(stamps) * 0.9))]
        moments = sorted(rng.choice(usual) + rng.choice((-1, 0, 0, 1, 40)) for _ in range(edits))
        if rng.random() < 0.7:
            moments[0] = min(usual) - 60_000
        if len(moments) > 1 and rng.random() < 0.3:
            moments[1] = moments[0]
        version, newest = 0, None
        for moment in moments:
            if newest is None or rng.random() < 0.7:
                version += 1
                newest = version_of(rng, tenant, device, version)
            said.append(Said(newest, partition, moment))
    return sorted(said, key=lambda one: one.log_time)


def version_of(rng: random.Random, tenant: str, device: str, version: int) -> DeviceRecord:
    """A version of a device, as likely as not on another site than before; one in eight says that it is gone."""
    if rng.random() < 0.125:
        return DeviceRecord(v=VERSION, tenant=tenant, device=device, version=version, changed_ms=0, deleted=True)
    site, model = rng.choice(SITES), rng.choice(MODELS)
    return DeviceRecord(
        v=VERSION,
        tenant=tenant,
        device=device,
        version=version,
        changed_ms=0,
        kind="sensor",
        site=site,
        zone=None if site is None else "Europe/Vienna",
        model=model,
        metrics={} if model is None else {"temperature": MetricOfModel(unit="°C")},
        tags=sorted(rng.sample(["hot", "old", "roof"], 2)),
    )


def registry_of(said: Iterable[Said]) -> Registry:
    """For the reference."""
    registry = Registry()
    for one in said:
        registry.take(one.record, one.log_time)
    return registry
