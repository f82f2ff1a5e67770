"""What the stores hold of a load, beside what the plain reference expects of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import psycopg
import redis

from headwater.model.stores import LEVEL, latest_key
from headwater.truth.reference import Expected, Key, rows_differ

Difference = tuple[list[Key], list[Key], list[tuple[Key, Any, Any]]]
"""(missing keys, extra keys, (key, expected, got) of rows that differ)."""


Differences = TypeVar("Differences", bound=tuple[Any, ...])


def rows(connection: psycopg.Connection[Any], tenant: str, panes: Iterable[int] | None = None) -> dict[Key, Expected]:
    """Rows of devices of a tenant at the finest level, by key; of given panes (epoch ms) alone, if there are any."""
    wanted = None if panes is None else list(panes)
    found = connection.execute(
        f"select tenant, device, metric, (extract(epoch from pane) * 1000)::bigint, count, sum, sum_sq, min, max, "  # noqa: S608 - the table's name is ours
        f"first_ms, last_ms, last from {LEVEL['10s'].table} where tenant = %(tenant)s "
        "and left(device, 1) <> '_' "
        f"and (%(panes)s::bigint[] is null "
        f"or pane in (select to_timestamp(one / 1000.0) from unnest(%(panes)s::bigint[]) as one))",
        {"tenant": tenant, "panes": wanted},
    )
    return {tuple(row[:4]): Expected(*row[4:]) for row in found}


def wait_until_equal(read: Callable[[], dict[Key, Expected]], expected: Mapping[Key, Expected], s: float) -> Difference:
    """Reads until the rows are the expected ones or `s` seconds are over; returns the last difference."""
    return wait_for_none(lambda: rows_differ(expected, read()), s)


def wait_for_none(differences: Callable[[], Differences], s: float) -> Differences:
    """Compares until nothing differs or `s` seconds are over; returns the last differences, kind by kind.

    A store that does not answer for now is asked again. Raises what it raised if it does not answer in the end.
    """
    until = time.monotonic() + s
    while True:
        try:
            found = differences()
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
        else:
            if not any(found) or time.monotonic() > until:
                return found
        time.sleep(0.5)


def wrong_latest(url: str, tenant: str, expected: Mapping[Key, Expected]) -> int:
    """How many series have another latest value in Valkey than their newest expected row says."""
    newest: dict[tuple[str, str], tuple[int, Expected]] = {}
    for (_, device, metric, pane), row in expected.items():
        if pane >= newest.get((device, metric), (-1, row))[0]:
            newest[device, metric] = (pane, row)
    client = redis.Redis.from_url(url, protocol=2)
    wrong = 0
    for (device, metric), (pane, row) in newest.items():
        raw: Any = client.hget(latest_key(tenant, device), metric)
        got = json.loads(raw) if raw else {}
        wrong += (got.get("pane"), got.get("count"), got.get("last")) != (pane, row.count, row.last)
    return wrong


def take_a_row_away(url: str, tenant: str) -> None:
    """A control: a loss that a comparison must find."""
    table = LEVEL["10s"].table
    with psycopg.connect(url) as connection:
        connection.execute(
            f"delete from {table} where (tenant, device, metric, pane) = "  # noqa: S608 - the table's name is ours
            f"(select tenant, device, metric, pane from {table} where tenant = %s order by pane limit 1)",
            (tenant,),
        )
