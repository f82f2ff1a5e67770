"""Which devices and metrics there are: the registry, the live core and Valkey, put together by name."""

from __future__ import annotations

import difflib
from bisect import bisect_right
from dataclasses import replace
from typing import Any

from api.state import events, naming
from api.state.postgres import NO_FACTS, Registered, Wanted
from api.state.state import State
from headwater.model.errors import NotFound
from headwater.model.fleet import is_fleet
from headwater.model.pack import Aggregate
from headwater.model.stores import LEVELS

_CANDIDATES = 500


async def page(state: State, wanted: Wanted) -> tuple[list[dict[str, Any]], str | None]:
    """The devices that are wanted, each as `summary`, and the name to go on from (None: the end)."""
    tenant, limit = wanted.tenant, wanted.limit
    more = replace(wanted, limit=limit + 1)
    registered = {found.device: found for found in await state.postgres.devices(more)}
    # Of a device that nobody has registered no site, model or tag is known.
    heard = _live_names(state, more) if wanted.facts == NO_FACTS else []
    names = sorted({*registered, *heard})[: limit + 1]
    shown = names[:limit]
    latest = await state.valkey.latest(tenant, shown)
    present = await events.presence(state.postgres, tenant, shown)
    devices = [registered.get(name) or Registered(name) for name in shown]
    said = await naming.of_models(state.postgres, tenant, devices)
    summaries = [
        summary(tenant, device, rows, said.get(device.model, {})) | {"connection": present.get(device.device)}
        for device, rows in zip(devices, latest, strict=True)
    ]
    return summaries, shown[-1] if len(names) > limit else None


async def device(state: State, tenant: str, name: str) -> dict[str, Any]:
    """One device. Raises `NotFound` with near names."""
    registered = await state.postgres.device(tenant, name)
    [rows] = await state.valkey.latest(tenant, [name])
    if registered is None and not rows and not _live_metrics(state, tenant, name):
        raise await _no_device(state, tenant, name)
    found = registered or Registered(name)
    present = await events.presence(state.postgres, tenant, [name])
    said = await naming.of_models(state.postgres, tenant, [found])
    return summary(tenant, found, rows, said.get(found.model, {})) | {"connection": present.get(name)}


async def latest(state: State, tenant: str, name: str) -> dict[str, Any]:
    """The newest row of each metric of a device. Raises `NotFound` with near names."""
    [rows] = await state.valkey.latest(tenant, [name])
    if not rows and await state.postgres.device(tenant, name) is None:
        raise await _no_device(state, tenant, name)
    return {"tenant": tenant, "device": name, "metrics": {metric: _values(row) for metric, row in rows.items()}}


async def fleets(state: State, tenant: str) -> list[dict[str, Any]]:
    """The newest rows of every site and model that has one."""
    names = state.live.fleets(tenant)
    return [
        {"fleet": name, "metrics": {metric: _values(row) for metric, row in rows.items()}}
        for name, rows in zip(names, await state.valkey.latest(tenant, names), strict=True)
    ]


async def check_metric(state: State, tenant: str, name: str, metric: str) -> None:
    """Returns if the device (or site, or model) has, or once had, the metric. Raises `NotFound` with near names."""
    known = _live_metrics(state, tenant, name)
    if metric in known or await state.postgres.has_metric(LEVELS[0], tenant, name, metric):
        return
    # The coarsest level has the fewest rows to look through, and the longest memory.
    known |= set(await state.postgres.metrics(LEVELS[-1], tenant, name))
    if metric in known:
        return
    if not known and is_fleet(name):
        raise NotFound(
            f"expected a site or model whose devices have sent readings, got {name!r}. "
            f"{_near(name, state.live.fleets(tenant), 'None has a row yet.')}"
        )
    if not known and await state.postgres.device(tenant, name) is None:
        raise await _no_device(state, tenant, name)
    raise NotFound(f"expected a metric of device {name!r}, got {metric!r}. {_near(metric, sorted(known))}")


def summary(tenant: str, registered: Registered, rows: dict[str, Aggregate], said: naming.Said) -> dict[str, Any]:
    """A device as the API tells of it; `said` is what its model says."""
    return {
        "tenant": tenant,
        "device": registered.device,
        "kind": registered.kind,
        "created": registered.created,
        "site": registered.site,
        "model": registered.model,
        "tags": list(registered.tags),
        "metrics": list(rows),
        "named": naming.named(rows, said),
        "last_ms": max((row.last_ms for row in rows.values()), default=None),
        "received": max((row.received for row in rows.values()), default=None),
        "latest": {metric: _values(row) for metric, row in rows.items()},
    }


def _values(row: Aggregate) -> dict[str, Any]:
    return {
        "last": row.last,
        "last_ms": row.last_ms,
        "pane": row.pane,
        "count": row.count,
        "min": row.min,
        "max": row.max,
        "mean": row.sum / row.count if row.count else None,
        "as_of": row.as_of,
        "received": row.received,
    }


def _live_names(state: State, wanted: Wanted) -> list[str]:
    names = state.live.names(wanted.tenant)
    search = wanted.search.lower()
    found = []
    for name in names[bisect_right(names, wanted.after) :]:
        if search in name.lower():
            found.append(name)
            if len(found) == wanted.limit:
                break
    return found


def _live_metrics(state: State, tenant: str, name: str) -> set[str]:
    found = state.live.tenants.get(tenant, {}).get(name)
    return set(found.latest) if found else set()


async def _no_device(state: State, tenant: str, name: str) -> NotFound:
    # Names that begin alike are enough to compare with: the whole registry would be too many.
    names: set[str] = set()
    for start in (name[:3], name[:1], ""):
        alike = Wanted(tenant, _CANDIDATES, start)
        names |= {found.device for found in await state.postgres.devices(alike)}
        names |= set(_live_names(state, alike))
        if names:
            break
    return NotFound(f"expected a device of tenant {tenant!r}, got {name!r}. {_near(name, sorted(names))}")


def _near(name: str, known: list[str], none: str = "None is known yet: `headwater devices add` makes one.") -> str:
    if not known:
        return none
    near = difflib.get_close_matches(name, known, n=5, cutoff=0.5) or known[:5]
    return f"Near names: {', '.join(near)}."
