"""Reads PostgreSQL: series of every level, the registry, and how far the sink has come. It never writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from pydantic import SecretStr

from api.state.cursor import Positions
from headwater.model.errors import BadRequest, StackError
from headwater.model.stores import (
    DEVICES,
    LOG_TIMES,
    SINK_OFFSETS,
    Level,
)

SINK = "sink-postgres"
"""The name under which the sink keeps its offsets."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WAIT_S = 3.0

_SERIES = """
select
  (extract(epoch from bucket) * 1000)::bigint,
  count, sum, min, max, mean, std, last
from {view}
where tenant = %(tenant)s
  and device = %(device)s
  and metric = %(metric)s
  and bucket >= %(first)s
  and bucket < %(end)s
order by bucket
"""

_METRICS = """
select distinct metric
from {view}
where tenant = %(tenant)s
  and device = %(device)s
"""

_HAS_METRIC = """
select exists (
  select 1
  from {view}
  where tenant = %(tenant)s
    and device = %(device)s
    and metric = %(metric)s
)
"""

# Code points decide the order, as in Python, so that names from here and from the live core can be merged.
_DEVICES = """
select device, kind, (extract(epoch from created) * 1000)::bigint, site, model, tags
from {devices}
where tenant = %(tenant)s
  and device collate "C" > %(after)s
  and position(lower(%(search)s) in lower(device)) > 0
  and (%(site)s::text is null or site = %(site)s)
  and (%(model)s::text is null or model = %(model)s)
  and (%(tag)s::text is null or tags @> array[%(tag)s::text])
order by device collate "C"
limit %(limit)s
"""

_DEVICE = """
select device, kind, (extract(epoch from created) * 1000)::bigint, site, model, tags
from {devices}
where tenant = %(tenant)s
  and device = %(device)s
"""

_LOG_TIME = """
select min(log_time), count(*)
from {log_times}
where topic = %(topic)s
"""

_POSITIONS = """
select partition, "offset"
from {offsets}
where sink = %(sink)s
  and topic = %(topic)s
"""

COLUMNS = ("t", "count", "sum", "min", "max", "mean", "std", "last")


class Facts(NamedTuple):
    """What the registry is to say of a device that is asked for; None does not ask."""

    site: str | None = None
    model: str | None = None
    tag: str | None = None


NO_FACTS = Facts()


@dataclass(frozen=True)
class Wanted:
    """Which devices of a tenant: at most `limit` whose name holds `search`, in any case, and follows `after`."""

    tenant: str
    limit: int
    search: str = ""
    after: str = ""
    facts: Facts = NO_FACTS


@dataclass(frozen=True)
class Registered:
    """A device of the registry, or one that it does not know: that has a name alone. `created` in UTC epoch ms."""

    device: str
    kind: str | None = None
    created: int | None = None
    site: str | None = None
    model: str | None = None
    tags: Sequence[str] = ()


@dataclass(frozen=True)
class Span:
    """Which buckets of which series: those that start in [first_ms, end_ms), UTC epoch ms."""

    tenant: str
    device: str
    metric: str
    first_ms: int
    end_ms: int


class Postgres:
    """A pool of read-only connections. Every call raises `StackError` while the database cannot be reached.

    The pool connects by itself and goes on trying; a call waits at most three seconds for a connection, and five for
    an answer.
    """

    def __init__(self, url: SecretStr) -> None:
        self._pool = AsyncConnectionPool(
            url.get_secret_value(),
            min_size=1,
            max_size=8,
            open=False,
            timeout=_WAIT_S,
            # Short, as the pool doubles its pauses: after a long outage it would come back late.
            reconnect_timeout=8,
            check=AsyncConnectionPool.check_connection,
            kwargs={
                "autocommit": True,
                "connect_timeout": 5,
                "application_name": "headwater-api",
                "options": "-c default_transaction_read_only=on -c statement_timeout=5000",
            },
        )

    async def open(self) -> None:
        """Starts the pool without waiting for the database."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Closes every connection."""
        await self._pool.close(timeout=2)

    async def series(self, level: Level, span: Span) -> dict[str, list[Any]]:
        """The columns of `COLUMNS` over `span`, ascending; `t` is the start of each bucket in UTC epoch ms."""
        rows = await self.rows(
            _SERIES,
            {"view": level.view},
            {
                "tenant": span.tenant,
                "device": span.device,
                "metric": span.metric,
                "first": _time(span.first_ms),
                "end": _time(span.end_ms),
            },
        )
        columns = zip(*rows, strict=True) if rows else ((),) * len(COLUMNS)
        return {name: list(values) for name, values in zip(COLUMNS, columns, strict=True)}

    async def metrics(self, level: Level, tenant: str, device: str) -> list[str]:
        """The metrics of a device that have rows at `level`."""
        return [row[0] for row in await self.rows(_METRICS, {"view": level.view}, {"tenant": tenant, "device": device})]

    async def has_metric(self, level: Level, tenant: str, device: str, metric: str) -> bool:
        """True if the series has any row at `level`."""
        given = {"tenant": tenant, "device": device, "metric": metric}
        rows = await self.rows(_HAS_METRIC, {"view": level.view}, given)
        return bool(rows[0][0])

    async def devices(self, wanted: Wanted) -> list[Registered]:
        """The registered devices that are wanted, by name (code points)."""
        given = {
            "tenant": wanted.tenant,
            "search": wanted.search,
            "after": wanted.after,
            "limit": wanted.limit,
            **wanted.facts._asdict(),
        }
        return [Registered(*row) for row in await self.rows(_DEVICES, {"devices": DEVICES}, given)]

    async def device(self, tenant: str, device: str) -> Registered | None:
        """The registered device of that very name, or None."""
        rows = await self.rows(_DEVICE, {"devices": DEVICES}, {"tenant": tenant, "device": device})
        return Registered(*rows[0]) if rows else None

    async def log_time(self, topic: str, partitions: int) -> int | None:
        """Log time (epoch ms) up to which the rows here are true; None until each of `partitions` is known."""
        rows = await self.rows(_LOG_TIME, {"log_times": LOG_TIMES}, {"topic": topic})
        least, known = rows[0]
        return int(least) if known >= partitions else None

    async def positions(self, topic: str) -> Positions:
        """Where the sink has come to in `topic`."""
        rows = await self.rows(_POSITIONS, {"offsets": SINK_OFFSETS}, {"sink": SINK, "topic": topic})
        return {int(partition): int(offset) for partition, offset in rows}

    async def ping(self) -> None:
        """Returns if the database answers."""
        await self.rows("select 1", {}, {})

    async def rows(self, query: LiteralString, names: Mapping[str, str], given: Mapping[str, object]) -> list[TupleRow]:
        """What `query` answers; `names` are tables by their place in it, `given` its parameters."""
        text = sql.SQL(query).format(**{key: sql.Identifier(name) for key, name in names.items()}) if names else query
        try:
            async with self._pool.connection() as connection:
                cursor = await connection.execute(text, given or None)
                return await cursor.fetchall()
        except psycopg.DataError as error:
            raise BadRequest(
                f"expected text and times that PostgreSQL can hold, got one that it cannot: {error}"
            ) from error
        except (psycopg.Error, PoolTimeout) as error:
            raise StackError(
                f"PostgreSQL does not answer ({type(error).__name__}: {str(error).strip()[:200]}).",
                "look at `headwater status`; the API connects again by itself",
            ) from error


def _time(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)
