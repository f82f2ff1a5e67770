"""What happened to a device: connections and how they ended, refusals, changes in the registry."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.rest.depends import Here, Tenant, need_key
from api.rest.device_models import DeviceEvents
from api.rest.devices import Device
from api.rest.problems import Json, responses
from api.rest.series import TIME
from api.state import catalog, events, times
from headwater.model.errors import BadRequest
from headwater.model.event import Kind

router = APIRouter(
    prefix="/v1/devices",
    tags=["events"],
    dependencies=[Depends(need_key)],
    responses=responses(400, 401, 404, 422, 503),
)

_ALWAYS_MS = 1 << 62


@router.get(
    "/{device}/events",
    operation_id="get_events",
    summary="What happened to a device, newest first",
    response_model=DeviceEvents,
)
async def get_events(
    state: Here,
    device: Device,
    tenant: Tenant,
    kind: Annotated[list[Kind] | None, Query(description="only of these kinds; may be given several times")] = None,
    from_: Annotated[
        str | None, Query(alias="from", description=f"{TIME}; default: as long as events are kept")
    ] = None,
    to: Annotated[str | None, Query(description=f"{TIME}; not included; default: now and after")] = None,
    limit: Annotated[int, Query(ge=1, le=1_000, description="most events to answer with")] = 100,
    cursor: Annotated[str, Query(max_length=128, description="`next` of the answer before, with the same filter")] = "",
) -> Json:
    """Events are kept for HEADWATER_KEEP_EVENTS_DAYS, and of each device the newest HEADWATER_KEEP_EVENTS_EACH."""
    first = 0 if from_ is None else times.parse(from_, "from")
    end = _ALWAYS_MS if to is None else times.parse(to, "to")
    if first >= end:
        raise BadRequest(
            f"expected from before to, got from={first} and to={end} (epoch ms): swap or move them", "from"
        )
    found, after = await events.page(state.postgres, events.Wanted(tenant, device, kind, first, end), limit, cursor)
    if not found:
        await catalog.device(state, tenant, device)
    return Json({"tenant": tenant, "device": device, "events": found, "next": after})
