"""Folds panes from the raw store: what a row must say, computed by ClickHouse from every reading that there is.

The raw store keeps one reading an identity, the first in the log (`reading`, asked with `final`); so a fold here is
the plain reference, whatever the readings went through on their way. Text and boolean readings are not aggregated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from headwater.model.codec import VERSION
from headwater.model.pack import Aggregate

PaneKey = tuple[str, str, str, int]
"""(tenant, device, metric, start of the pane in epoch ms)."""


class PaneSpan(NamedTuple):
    """Panes of one device: those that start in [`first`, `end`), epoch ms, both multiples of 10,000."""

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


def fold(client: Client, spans: Sequence[PaneSpan], metrics: Collection[str]) -> Iterator[Aggregate]:
    """The rows of `metrics` over `spans`, in one query; panes without a number reading are left out.

    Their `generation` and `dup` are 0: those are not known from readings. `as_of` and `received` are the largest among
    the readings that count. Sums are exact to the last bits. Raises `ClickHouseError` or `OSError` if the store cannot
    be asked.
    """
    if not spans or not metrics:
        return
    given = {
        "spans": [tuple(span) for span in spans],
        "metrics": sorted(metrics),
        "first": min(span.first for span in spans),
        "end": max(span.end for span in spans),
    }
    for row in client.query(_sql("fold"), given).result_rows:
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


def counts(client: Client, first_ms: int, end_ms: int) -> dict[PaneKey, Held]:
    """What every series of every device holds in the panes that start in [`first_ms`, `end_ms`), in one query.

    Both bounds are multiples of 10,000 (epoch ms). Memory is proportional to the panes found. Raises as `fold`.
    """
    found = client.query(_sql("counts"), {"first": first_ms, "end": end_ms}).result_rows
    return {(row[0], row[1], row[2], row[3]): Held(*row[4:]) for row in found}


@cache
def _sql(name: str) -> str:
    return (files("sql") / "stores" / "clickhouse" / "panes" / f"{name}.sql").read_text()
