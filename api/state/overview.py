"""What PostgreSQL holds of how the line does: jobs, analysts' queries, and what audits found."""

from __future__ import annotations

from dataclasses import dataclass

from api.state.postgres import Postgres
from headwater.model.stores import AUDIT_CAUSES, AUDIT_RESULT, DEPLOYED_QUERIES, JOB_STATES, PANE_AUDIT

_DEPLOYED = """
select kind, name, unit, owner, description, state, why, (extract(epoch from changed) * 1000)::bigint
from {queries}
where state <> 'undeployed'
order by name
"""
_JOBS = """
select job, state, why, (extract(epoch from changed) * 1000)::bigint
from {states}
order by job
"""
_BALANCE = """
select
  state, (extract(epoch from finished) * 1000)::bigint, from_ms, to_ms, readings, duplicates, gaps
from {results}
order by finished desc
limit 1
"""


@dataclass(frozen=True)
class Deployed:
    """A metric or pattern that is deployed: starting, running or failed (and `why`) since `changed`, epoch ms."""

    kind: str
    name: str
    unit: str
    owner: str
    description: str
    state: str
    why: str
    changed: int


@dataclass(frozen=True)
class JobState:
    """A job of the stack: starting, running, failing (and `why`) or stopped since `changed`, epoch ms."""

    name: str
    state: str
    why: str
    changed: int


@dataclass(frozen=True)
class Balance:
    """An audit of the log against the stores: balanced, gap or waiting. Times in UTC epoch ms; `to_ms` not included."""

    state: str
    finished: int
    from_ms: int
    to_ms: int
    readings: int
    duplicates: int
    gaps: int


class Overview:
    """Asks one thing at a time. Raises what `Postgres.rows` raises."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def audits(self) -> tuple[dict[str, int], int | None]:
        """Rows that differed from their readings at the audit, by cause, and the newest minute audited (epoch ms)."""
        sums = ", ".join(f"coalesce(sum({cause}), 0)::bigint" for cause in AUDIT_CAUSES)
        newest = "(extract(epoch from max(minute)) * 1000)::bigint"
        rows = await self._postgres.rows(f"select {sums}, {newest} from {{audits}}", {"audits": PANE_AUDIT}, {})  # noqa: S608
        *counts, audited = rows[0]
        return dict(zip(AUDIT_CAUSES, counts, strict=True)), audited

    async def balance(self) -> Balance | None:
        """What the newest `headwater audit` found; None if there was none."""
        rows = await self._postgres.rows(_BALANCE, {"results": AUDIT_RESULT}, {})
        return Balance(*rows[0]) if rows else None

    async def deployed(self) -> list[Deployed]:
        """The metrics and patterns that analysts have deployed, by name."""
        return [Deployed(*row) for row in await self._postgres.rows(_DEPLOYED, {"queries": DEPLOYED_QUERIES}, {})]

    async def jobs(self) -> list[JobState]:
        """How the jobs of the stack are, by name."""
        return [JobState(*row) for row in await self._postgres.rows(_JOBS, {"states": JOB_STATES}, {})]
