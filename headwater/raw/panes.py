"""Folds panes from the raw store: what a row must say, computed by ClickHouse from every reading that there is.

The raw store keeps one reading an identity, the first in the log (`reading`, asked with `final`); so a fold here is
the plain reference, whatever the readings went through on their way. Text and boolean readings are not aggregated.
Rows of fleets are folded from the readings of their members, each where its device belonged at its log time; what that
was is known before `until`, and readings from then on are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from clickhouse_connect.driver.client import Client

from headwater.model import fleet
from headwater.model.codec import VERSION
from headwater.model.pack import Aggregate

PaneKey = tuple[str, str, str, int]
"""(tenant, device, metric, start of the pane in epoch ms)."""


class PaneSpan(NamedTuple):
    """Panes of a device or of a fleet: those that start in [`first`, `end`), epoch ms, both multiples of 10,000."""

    tenant: str
    device: str
    first: int
    end: int


class Held(NamedTuple):
    """What a store holds of a pane: readings, their sum, and the largest log time (epoch ms) among them."""

    # Hides tuple.count, which nobody calls on a row.
    count: int  # type: ignore[assignment]
    sum: float
    as_of: int


def fold(client: Client, spans: Sequence[PaneSpan], metrics: Collection[str], until: int = 0) -> Iterator[Aggregate]:
    """The rows of `metrics` over `spans`, a query for devices and one for fleets; those without a reading are left out.

    `until` (log time, epoch ms) is what `places_known` says. `generation` and `dup` of the rows are 0: those are not
    known from readings. `as_of` and `received` are the largest among the readings that count. Sums are exact to the
    last bits. Raises `ClickHouseError` or `OSError` if the store cannot be asked.
    """
    fleets = [span for span in spans if fleet.is_fleet(span.device)]
    devices = [span for span in spans if not fleet.is_fleet(span.device)]
    if devices and metrics:
        yield from _rows(client, "fold", _given(devices, metrics))
    if fleets and metrics:
        names = sorted({(span.tenant, span.device) for span in fleets})
        yield from _rows(
            client, "fold_fleets", {**_given(fleets, metrics), **_PREFIXES, "fleets": names, "until": until}
        )


def fleets_of(client: Client, spans: Sequence[PaneSpan], metrics: Collection[str]) -> list[tuple[str, str, str, int]]:
    """(tenant, fleet, device, pane): which fleets the readings of some devices belong to. Raises as `fold`."""
    if not spans or not metrics:
        return []
    found = client.query(_sql("fleets"), {**_given(spans, metrics), **_PREFIXES}).result_rows
    return [(row[0], row[1], row[2], row[3]) for row in found]


_PREFIXES = {"site": fleet.SITE, "model": fleet.MODEL}


def _given(spans: Sequence[PaneSpan], metrics: Collection[str]) -> dict[str, Any]:
    return {
        "spans": [tuple(span) for span in spans],
        "metrics": sorted(metrics),
        "first": min(span.first for span in spans),
        "end": max(span.end for span in spans),
    }


def _rows(client: Client, name: str, given: dict[str, Any]) -> Iterator[Aggregate]:
    for row in client.query(_sql(name), given).result_rows:
        tenant, device, metric, pane, count, total, squares, least, greatest, first, last_ms, last, as_of, received = (
            row
        )
        yield Aggregate(
            v=VERSION,
            tenant=tenant,
            device=device,
            metric=metric,
            pane=pane,
            generation=0,
            count=count,
            sum=total,
            sum_sq=squares,
            min=least,
            max=greatest,
            first_ms=first,
            last_ms=last_ms,
            last=last,
            as_of=as_of,
            received=received,
        )


def counts(client: Client, first_ms: int, end_ms: int, until: int = 0) -> dict[PaneKey, Held]:
    """What each series of every device and fleet holds in panes that start in [`first_ms`, `end_ms`), in one query.

    Both bounds are multiples of 10,000 (epoch ms); `until` as in `fold`. Memory is proportional to the panes found.
    Raises as `fold`.
    """
    given = {"first": first_ms, "end": end_ms, "until": until, **_PREFIXES}
    found = client.query(_sql("counts"), given).result_rows
    return {(row[0], row[1], row[2], row[3]): Held(*row[4:]) for row in found}


@cache
def _sql(name: str) -> str:
    return (files("sql") / "stores" / "clickhouse" / "panes" / f"{name}.sql").read_text()
