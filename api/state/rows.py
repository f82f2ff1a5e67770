"""The rows that live clients see, and whom they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from headwater.model.fleet import is_fleet
from headwater.model.pack import Aggregate


class Cells(NamedTuple):
    """One row as a client gets it; the fields are the columns of a frame, times in UTC epoch ms.

    A tuple, because `zip(*rows)` turns rows into columns without a loop of ours.
    """

    device: str
    metric: str
    pane: int
    # Hides tuple.count, which nobody calls on a row.
    count: int  # type: ignore[assignment]
    sum: float
    min: float
    max: float
    mean: float
    last: float
    last_ms: int
    as_of: int
    received: int


class Change:
    """A row at the moment it changed: where the log says it, and its place in this process's own order (`seq`).

    `superseded` is set when a newer version of the same (device, metric, pane) has come.
    """

    __slots__ = ("cells", "device", "generation", "offset", "partition", "seq", "superseded")

    def __init__(self, device: Device, row: Aggregate, partition: int, offset: int, seq: int) -> None:
        self.device = device
        self.generation = row.generation
        self.partition = partition
        self.offset = offset
        self.seq = seq
        self.superseded = False
        self.cells = cells_of(device.name, row)

    @property
    def age(self) -> tuple[int, int, int]:
        """What decides which of two rows of a series is the newest: (pane, generation, count)."""
        return (self.cells.pane, self.generation, self.cells.count)

    @property
    def version(self) -> tuple[int, int]:
        """What decides which of two rows of one pane is the newer: (generation, count)."""
        return (self.generation, self.cells.count)


class Device:
    """What is known of one device: its newest row of each metric, and its recent changes in order of `seq`.

    A `fleet`, a site or a model, is kept as one; its rows hold the readings of devices once more, so they are counted
    nowhere and shown to those who name it.
    """

    __slots__ = ("fleet", "latest", "name", "received", "recent", "tenant")

    def __init__(self, tenant: str, name: str) -> None:
        self.tenant = tenant
        self.name = name
        self.fleet = is_fleet(name)
        self.latest: dict[str, Change] = {}
        self.recent: dict[tuple[str, int], Change] = {}
        self.received = 0


@dataclass(frozen=True)
class Subscription:
    """What a client wants to see: some devices (or sites, models) of a tenant, or all devices (`devices` None).

    Frozen and hashable: clients with equal subscriptions share the frames that are made for them.
    """

    tenant: str
    devices: frozenset[str] | None = None


def cells_of(device: str, row: Aggregate) -> Cells:
    """The cells of `row`; the mean is 0 for a row without readings, which no job publishes."""
    return Cells(
        device=device,
        metric=row.metric,
        pane=row.pane,
        count=row.count,
        sum=row.sum,
        min=row.min,
        max=row.max,
        mean=row.sum / row.count if row.count else 0.0,
        last=row.last,
        last_ms=row.last_ms,
        as_of=row.as_of,
        received=row.received,
    )
