"""Registered devices: lists by site, model and tag, what each was, and tokens."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request, Response

from api.rest import registry_files
from api.rest import registry_models as answers
from api.rest.depends import AskedFacts, Here, Tenant, clean
from api.rest.problems import Json, responses
from api.rest.registry import Name, devices, plain
from headwater import registry
from headwater.model.device import DeviceRecord
from headwater.registry import history, search
from headwater.registry.entries import DEVICES

_DAY_S = 86_400


@devices.get(
    "",
    operation_id="list_registered_devices",
    summary="List registered devices",
    response_model=answers.Devices,
)
async def list_devices(
    state: Here,
    request: Request,
    tenant: Tenant,
    facts: AskedFacts,
    limit: Annotated[int, Query(ge=1, le=1_000, description="most devices to answer with")] = 100,
    cursor: Annotated[str, Query(max_length=256, description="`next` of the answer before")] = "",
) -> Response:
    """By name, a page at a time. `Accept: text/csv` or `application/x-ndjson` gives all of them as a file."""
    form = registry_files.asked(request)
    if form is not None:
        wanted = search.Wanted(tenant, *facts)
        found = await state.desk.within(lambda conn: search.devices(conn, wanted))
        return registry_files.file(found, form, DEVICES)
    page = search.Wanted(tenant, *facts, clean("cursor", cursor), limit + 1)
    found = await state.desk.within(lambda conn: search.devices(conn, page))
    after = found[limit - 1].device if len(found) > limit else None
    return Json({"devices": [plain(device) for device in found[:limit]], "next": after})


@devices.get(
    "/{name}/versions",
    operation_id="list_device_versions",
    summary="Versions of a device",
    response_model=answers.DeviceVersions,
    responses=responses(404),
)
async def list_device_versions(
    state: Here,
    name: Name,
    tenant: Tenant,
    limit: Annotated[int, Query(ge=1, le=1_000, description="most versions to answer with")] = 100,
    cursor: Annotated[int, Query(ge=0, lt=2**63, description="`next` of the answer before")] = 0,
) -> Json:
    """Oldest first, a page at a time, also of a device that is deleted."""
    found = await state.desk.within(lambda conn: history.versions(conn, tenant, name, cursor, limit + 1))
    after = found[limit - 1].version if len(found) > limit else None
    return Json({"versions": [_version(one) for one in found[:limit]], "next": after})


@devices.post(
    "/{name}/token",
    operation_id="rotate_token",
    summary="Give a device a new token",
    response_model=answers.Token,
    responses=responses(404),
)
async def rotate_token(
    state: Here,
    name: Name,
    tenant: Tenant,
    overlap_s: Annotated[int, Query(ge=0, le=365 * _DAY_S, description="how long older tokens stay good")] = _DAY_S,
    expires_s: Annotated[int | None, Query(ge=1, description="when the new one ends; never if not given")] = None,
) -> Json:
    """Both tokens are good during the overlap."""
    token = registry.new_token()
    await state.desk.within(lambda conn: registry.rotate(conn, tenant, name, token, overlap_s, expires_s))
    return Json({"tenant": tenant, "device": name, "token": token})


@devices.delete(
    "/{name}/token",
    operation_id="revoke_tokens",
    summary="Withdraw every token of a device",
    status_code=204,
    responses=responses(404),
)
async def revoke_tokens(state: Here, name: Name, tenant: Tenant) -> Response:
    """Its connections end at once, and it does not come in again."""
    await state.desk.within(lambda conn: registry.revoke(conn, tenant, name))
    return Response(status_code=204)


def _version(record: DeviceRecord) -> dict[str, Any]:
    said = plain(record)
    del said["v"]
    return said


router = devices
