"""Reads episodes of alerts as the sink keeps them, and keeps what people say of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, LiteralString

from psycopg import Connection, sql

from api.state.place import Place, place_of
from api.state.postgres import NO_FACTS, Facts, Postgres
from headwater.model.errors import NotFound
from headwater.model.rule import SEVERITIES, Severity
from headwater.model.stores import ALERT_EVENTS, ALERTS, ALERTS_ACKNOWLEDGED, DEVICES

Condition = Literal["active", "cleared", "any"]

_PAGE = """
select
  a.alert_id, a.rule, a.version, a.device, a.metric, a.severity, a.worst, a.start, a.raised, a.cleared, a.changed,
  a.why, a.value, a.level, (extract(epoch from s.at) * 1000)::bigint, s.by, s.comment
from {episodes} as a
left join {acknowledged} as s using (tenant, alert_id)
where a.tenant = %(tenant)s
  and (%(one)s::text is null or a.alert_id = %(one)s)
  and (%(condition)s = 'any' or (a.cleared is null) = (%(condition)s = 'active'))
  and (%(severities)s::text[] is null or a.severity = any(%(severities)s))
  and (%(device)s::text is null or a.device = %(device)s)
  and (%(rule)s::text is null or a.rule = %(rule)s)
  and (%(acknowledged)s::boolean is null or (s.at is not null) = %(acknowledged)s)
  and (
    not %(by_facts)s
    or exists (
      select 1
      from {devices} as d
      where d.tenant = a.tenant
        and d.device = a.device
        and (%(site)s::text is null or d.site = %(site)s)
        and (%(model)s::text is null or d.model = %(model)s)
        and (%(tag)s::text is null or d.tags @> array[%(tag)s::text])
    )
  )
  and (a.changed, a.alert_id) < (%(at)s, %(id)s)
order by a.changed desc, a.alert_id desc
limit %(limit)s
"""

_STORY = """
select happened, severity, why, event_time, log_time, value, level, version
from {events}
where tenant = %(tenant)s
  and alert_id = %(one)s
order by log_time, event_time, array_position(array['raised', 'escalated', 'deescalated', 'cleared'], happened)
"""

_SAY = """
insert into {acknowledged} (tenant, alert_id, by, comment)
select tenant, alert_id, %(by)s, %(comment)s
from {episodes}
where tenant = %(tenant)s
  and alert_id = %(one)s
on conflict (tenant, alert_id) do update
  set by = excluded.by, comment = excluded.comment
"""

_TAKE_BACK = """
delete from {acknowledged}
where tenant = %(tenant)s
  and alert_id = %(one)s
"""

_COLUMNS = (
    "alert_id", "rule", "version", "device", "metric", "severity", "worst", "start", "raised", "cleared", "changed",
    "why", "value", "level",
)  # fmt: skip
_STEPS = ("happened", "severity", "why", "event_time", "log_time", "value", "level", "version")
_TABLES = {"episodes": ALERTS, "acknowledged": ALERTS_ACKNOWLEDGED, "devices": DEVICES}


@dataclass(frozen=True)
class Wanted:
    """Which episodes of a tenant; None means that it does not matter. `at_least` is a severity or a milder one's.

    `facts` are those that the registry has of the device now.
    """

    tenant: str
    condition: Condition = "any"
    at_least: Severity | None = None
    device: str | None = None
    rule: str | None = None
    acknowledged: bool | None = None
    facts: Facts = NO_FACTS
    one: str | None = None


async def page(postgres: Postgres, wanted: Wanted, limit: int, cursor: str) -> tuple[list[dict[str, Any]], str | None]:
    """At most `limit` episodes, the last changed first, and the cursor of the next ones. Raises `BadRequest`."""
    place = place_of(cursor)
    severities = None if wanted.at_least is None else list(SEVERITIES[SEVERITIES.index(wanted.at_least) :])
    given = {
        "tenant": wanted.tenant,
        "one": wanted.one,
        "condition": wanted.condition,
        "severities": severities,
        "device": wanted.device,
        "rule": wanted.rule,
        "acknowledged": wanted.acknowledged,
        "by_facts": wanted.facts != NO_FACTS,
        **wanted.facts._asdict(),
        "at": place.at,
        "id": place.id,
        "limit": limit + 1,
    }
    rows = await postgres.rows(_PAGE, _TABLES, given)
    found = [_episode(row) for row in rows[:limit]]
    return found, str(Place(found[-1]["changed"], found[-1]["alert_id"])) if len(rows) > limit else None


async def one(postgres: Postgres, tenant: str, alert_id: str) -> dict[str, Any]:
    """An episode with its events, oldest first. Raises `NotFound`."""
    found, _ = await page(postgres, Wanted(tenant, one=alert_id), 1, "")
    if not found:
        raise _unknown(tenant, alert_id)
    rows = await postgres.rows(_STORY, {"events": ALERT_EVENTS}, {"tenant": tenant, "one": alert_id})
    return {**found[0], "events": [dict(zip(_STEPS, row, strict=True)) for row in rows]}


def acknowledge(conn: Connection[Any], tenant: str, alert_id: str, by: str, comment: str) -> None:
    """Keeps who has seen an episode, and what they said; said again, the first time stays. Raises `NotFound`.

    The caller commits.
    """
    if not _changed(conn, _SAY, {"tenant": tenant, "one": alert_id, "by": by, "comment": comment}):
        raise _unknown(tenant, alert_id)


def take_back(conn: Connection[Any], tenant: str, alert_id: str) -> None:
    """Forgets that an episode was acknowledged. Raises `NotFound` if it was not. The caller commits."""
    if not _changed(conn, _TAKE_BACK, {"tenant": tenant, "one": alert_id}):
        raise NotFound(f"expected an alert that was acknowledged, got {alert_id!a}; `GET /v1/alerts` lists alerts")


def _changed(conn: Connection[Any], query: LiteralString, given: dict[str, str]) -> bool:
    names = {name: sql.Identifier(table) for name, table in _TABLES.items()}
    return bool(conn.execute(sql.SQL(query).format(**names), given).rowcount)


def _episode(row: tuple[Any, ...]) -> dict[str, Any]:
    *columns, at, by, comment = row
    said = None if at is None else {"at": at, "by": by, "comment": comment}
    return {**dict(zip(_COLUMNS, columns, strict=True)), "acknowledged": said}


def _unknown(tenant: str, alert_id: str) -> NotFound:
    return NotFound(
        f"expected an alert of tenant {tenant!a}, got {alert_id[:80]!a}: there was none, or HEADWATER_KEEP_ALERTS_DAYS "
        "is past; `GET /v1/alerts?condition=any` lists those that are kept"
    )
