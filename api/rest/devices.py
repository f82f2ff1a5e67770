"""Devices and their newest values."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from api.rest.depends import AskedFacts, Here, Tenant, clean, need_key
from api.rest.device_models import DeviceLatest, DevicePage, DeviceSummary
from api.rest.problems import Json, responses
from api.state import catalog
from api.state.postgres import Wanted

router = APIRouter(
    prefix="/v1/devices",
    tags=["devices"],
    dependencies=[Depends(need_key)],
    responses=responses(400, 401, 422, 503),
)


def _device(
    device: Annotated[
        str, Path(max_length=256, description="the device's name, percent-encoded", examples=["sim-0001"])
    ],
) -> str:
    return clean("device", device)


Device = Annotated[str, Depends(_device)]


@router.get("", operation_id="list_devices", summary="List devices with their newest values", response_model=DevicePage)
async def list_devices(
    state: Here,
    tenant: Tenant,
    facts: AskedFacts,
    search: Annotated[str, Query(max_length=256, description="a part of the name, in any case")] = "",
    limit: Annotated[int, Query(ge=1, le=1_000, description="most devices to answer with")] = 100,
    cursor: Annotated[str, Query(max_length=256, description="`next` of the answer before, with the same filter")] = "",
) -> Json:
    """Devices of the registry and all that have sent readings, by name, a page at a time.

    Only registered ones have a site, a model or tags.
    """
    wanted = Wanted(tenant, limit, clean("search", search), clean("cursor", cursor), facts)
    devices, after = await catalog.page(state, wanted)
    return Json({"devices": devices, "next": after})


@router.get(
    "/{device}",
    operation_id="get_device",
    summary="One device",
    response_model=DeviceSummary,
    responses=responses(404),
)
async def get_device(state: Here, device: Device, tenant: Tenant) -> Json:
    """What the registry says of a device, and its newest values."""
    return Json(await catalog.device(state, tenant, device))


@router.get(
    "/{device}/latest",
    operation_id="get_latest",
    summary="The newest values of one device",
    response_model=DeviceLatest,
    responses=responses(404),
)
async def get_latest(state: Here, device: Device, tenant: Tenant) -> Json:
    """The newest 10 s row of each metric, amended until its pane is closed."""
    return Json(await catalog.latest(state, tenant, device))
