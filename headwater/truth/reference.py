"""The plain reference: what the rows must be, computed from the log by loops that anyone can check by reading.

The law: the identity of a reading is (tenant, device, metric, ts), the first in the log counts, a pack is late when its
log time is past the end of its pane plus the horizon, and late packs become corrections. A reading counts in the rows
of its device, and of the site and the model that the device had at the log time of the pack that brought it first: that
is what the newest of its records in the registry says that is not after that time. No cleverness here, ever: the tests
trust this page and nothing else.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from headwater.model.codec import VERSION
from headwater.model.device import DeviceRecord
from headwater.model.fleet import Place
from headwater.model.pack import PANE_MS, Aggregate, Correction, Pack, pane_of

Key = tuple[str, str, str, int]
RELATIVE = 1e-9


class Record(NamedTuple):
    """A pack where it lies in the log. `log_time` is UTC epoch ms."""

    pack: Pack
    partition: int
    offset: int
    log_time: int


class Expected(NamedTuple):
    """A row as the readings alone determine it, whatever way they took."""

    count: int  # type: ignore[assignment]  # a row's own word, as in Aggregate
    sum: float
    sum_sq: float
    min: float
    max: float
    first_ms: int
    last_ms: int
    last: float


class Registry:
    """What was said of each device, and when; without records, nothing."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], tuple[list[int], list[Place]]] = {}

    def take(self, record: DeviceRecord, log_time: int) -> None:
        """Takes one record in; those of a device come in their order. `log_time` is UTC epoch ms."""
        times, places = self._said.setdefault((record.tenant, record.device), ([], []))
        times.append(log_time)
        places.append(Place(record.site, record.model))

    def at(self, tenant: str, device: str, log_time: int) -> Place:
        """Where the device belonged at a log time."""
        times, places = self._said.get((tenant, device), ([], []))
        known = bisect_right(times, log_time)
        return places[known - 1] if known else Place()


@dataclass
class Series:
    """What one (tenant, device, metric, pane) has taken in: its readings, and who brought them.

    A reading is known by (ts, device): in the row of a fleet many devices may measure at one moment. The last value is
    then that of the device with the largest name.
    """

    values: dict[tuple[int, str], float] = field(default_factory=dict)
    as_of: int = 0
    received: int = 0
    dup: int = 0

    def expected(self) -> Expected:
        """The row of the readings."""
        values = list(self.values.values())
        first, last = min(self.values), max(self.values)
        squares = math.fsum(value * value for value in values)
        return Expected(
            len(values), math.fsum(values), squares, min(values), max(values), first[0], last[0], self.values[last]
        )


@dataclass
class Reference:
    """Folds a log, record by record, in the order of each partition."""

    horizon_ms: int
    generation: int = 1
    registry: Registry = field(default_factory=Registry)
    series: dict[Key, Series] = field(default_factory=dict)
    corrections: list[Correction] = field(default_factory=list)

    def take(self, record: Record) -> list[Aggregate]:
        """Takes one record in; returns the rows of its device that it touched, as they stand after it."""
        pack = record.pack
        if not pack.metrics:
            return []
        if record.log_time > pack.pane + PANE_MS + self.horizon_ms:
            self.corrections.append(correction(record))
            return []
        return [self._fold(record, metric, values) for metric, values in pack.metrics.items()]

    def _fold(self, record: Record, metric: str, values: list[float]) -> Aggregate:
        pack = record.pack
        key = (pack.tenant, pack.device, metric, pack.pane)
        series = self.series.setdefault(key, Series())
        new: dict[tuple[int, str], float] = {}
        for at, value in zip(pack.at, values, strict=True):
            reading = (pack.pane + at, pack.device)
            if reading in series.values or reading in new:
                series.dup += 1
            else:
                new[reading] = value
        _add(series, new, record)
        if new:
            for fleet in self.registry.at(pack.tenant, pack.device, record.log_time).fleets:
                _add(self.series.setdefault((pack.tenant, fleet, metric, pack.pane), Series()), new, record)
        return self.row(key)

    def row(self, key: Key) -> Aggregate:
        """The row of `key` as it stands."""
        tenant, device, metric, pane = key
        series = self.series[key]
        return Aggregate(
            v=VERSION,
            tenant=tenant,
            device=device,
            metric=metric,
            pane=pane,
            generation=self.generation,
            **series.expected()._asdict(),
            as_of=series.as_of,
            received=series.received,
            dup=series.dup,
        )

    def rows(self) -> dict[Key, Aggregate]:
        """All rows as they stand."""
        return {key: self.row(key) for key in self.series}


def _add(series: Series, new: Mapping[tuple[int, str], float], record: Record) -> None:
    series.values.update(new)
    series.as_of = max(series.as_of, record.log_time)
    series.received = max(series.received, record.pack.received)


def correction(record: Record) -> Correction:
    """What a late pack asks for."""
    pack = record.pack
    return Correction(
        v=VERSION,
        tenant=pack.tenant,
        device=pack.device,
        pane=pack.pane,
        metrics=sorted(pack.metrics),
        partition=record.partition,
        offset=record.offset,
        log_time=record.log_time,
    )


def fold_readings(readings: Iterable[tuple[str, str, str, int, float]]) -> dict[Key, Expected]:
    """The rows of readings (tenant, device, metric, ts, value) as devices sent them, however they were packed.

    Nothing is late here; of readings with one identity the first counts.
    """
    series: dict[Key, Series] = {}
    for tenant, device, metric, ts, value in readings:
        one = series.setdefault((tenant, device, metric, pane_of(ts)), Series())
        one.values.setdefault((ts, device), value)
    return {key: one.expected() for key, one in series.items()}


def rows_differ(
    expected: Mapping[Key, tuple[Any, ...]], got: Mapping[Key, tuple[Any, ...]]
) -> tuple[list[Key], list[Key], list[tuple[Key, Any, Any]]]:
    """(missing keys, extra keys, (key, expected, got) of rows that differ by more than a relative 1e-9)."""
    missing = sorted(expected.keys() - got.keys())
    extra = sorted(got.keys() - expected.keys())
    both = sorted(expected.keys() & got.keys())
    different = [(key, expected[key], got[key]) for key in both if not _same(expected[key], got[key])]
    return missing, extra, different


def compare(
    expected: Mapping[Key, Aggregate], got: Mapping[Key, Aggregate]
) -> tuple[list[Key], list[Key], list[tuple[Key, Any, Any]]]:
    """`rows_differ` over whole aggregates: every column counts."""
    columns = msgspec.structs.astuple
    return rows_differ(
        {key: columns(row) for key, row in expected.items()}, {key: columns(row) for key, row in got.items()}
    )


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return len(one) == len(other) and all(map(_close, one, other))


def _close(one: Any, other: Any) -> bool:
    # Whole numbers (stamps, counts) must be equal to the unit; a float may differ by the order of its additions.
    if isinstance(one, float) and isinstance(other, float | int):
        return math.isclose(one, other, rel_tol=RELATIVE, abs_tol=RELATIVE)
    return bool(one == other)
