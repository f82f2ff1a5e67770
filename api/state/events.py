"""Reads what happened to devices, and whether they are connected, as the sink of `device-events` keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from api.state.place import Place, place_of
from api.state.postgres import Postgres
from headwater.model.event import Kind
from headwater.model.stores import DEVICE_EVENTS, DEVICE_PRESENCE

_EVENTS = """
select id, at, kind, reason, connection, client, address, protocol, session_present, detail
from {events}
where tenant = %(tenant)s
  and device = %(device)s
  and at >= %(first)s
  and at < %(end)s
  and (%(kinds)s::text[] is null or kind = any(%(kinds)s))
  and (at, id) < (%(at)s, %(id)s)
order by at desc, id desc
limit %(limit)s
"""

_PRESENCE = """
select device, connected, since, reason, address
from {presence}
where tenant = %(tenant)s
  and device = any(%(devices)s)
"""

_COLUMNS = ("id", "at", "kind", "reason", "connection", "client", "address", "protocol", "session_present", "detail")


@dataclass(frozen=True)
class Wanted:
    """Which events of a device: of these kinds (None: all), with first_ms <= at < end_ms (UTC epoch ms)."""

    tenant: str
    device: str
    kinds: list[Kind] | None
    first_ms: int
    end_ms: int


async def page(postgres: Postgres, wanted: Wanted, limit: int, cursor: str) -> tuple[list[dict[str, Any]], str | None]:
    """At most `limit` events, newest first, and the cursor of the next ones (None: the end). Raises `BadRequest`."""
    place = place_of(cursor)
    rows = await postgres.rows(
        _EVENTS,
        {"events": DEVICE_EVENTS},
        {
            "tenant": wanted.tenant,
            "device": wanted.device,
            "first": wanted.first_ms,
            "end": wanted.end_ms,
            "kinds": None if wanted.kinds is None else [kind.value for kind in wanted.kinds],
            "at": place.at,
            "id": place.id,
            "limit": limit + 1,
        },
    )
    events = [dict(zip(_COLUMNS, row, strict=True)) for row in rows[:limit]]
    return events, str(Place(events[-1]["at"], events[-1]["id"])) if len(rows) > limit else None


async def presence(postgres: Postgres, tenant: str, devices: list[str]) -> dict[str, dict[str, Any]]:
    """Device -> connected, since (UTC epoch ms), reason, address; without those that were never connected."""
    given = {"tenant": tenant, "devices": devices}
    rows = await postgres.rows(_PRESENCE, {"presence": DEVICE_PRESENCE}, given)
    return {
        device: {"connected": connected, "since": since, "reason": reason, "address": address}
        for device, connected, since, reason, address in rows
    }
