"""Tenants: listed with how many devices they have, and made. There is no call that deletes one."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Any

from fastapi import Depends, Path, Request, Response

from api.rest import registry_models as answers
from api.rest.depends import Here, clean
from api.rest.problems import Json, responses
from api.rest.registry import new_router, plain
from api.rest.versions import Seen, body, made_or_changed, parsed, tagged
from headwater.registry import tenants

router = new_router("/v1/tenants")

_BODY = {
    "requestBody": {
        "required": False,
        "content": {"application/json": {"schema": {"type": "object"}, "example": {"title": "Waterworks north"}}},
    }
}


def _tenant(
    tenant: Annotated[str, Path(max_length=128, description="its name, percent-encoded", examples=["demo"])],
) -> str:
    return clean("tenant", tenant)


Name = Annotated[str, Depends(_tenant)]


@router.get("", operation_id="list_tenants", summary="List tenants", response_model=answers.Tenants)
async def list_tenants(state: Here) -> Json:
    """All of them, by name."""
    return Json({"tenants": list(map(plain, await state.desk.within(tenants.all_of_them)))})


@router.get(
    "/{tenant}",
    operation_id="get_tenant",
    summary="One tenant",
    response_model=answers.Tenant,
    responses=responses(404),
)
async def get_tenant(state: Here, tenant: Name) -> Response:
    """As it is now; its version is the ETag."""
    return tagged(plain(await state.desk.within(lambda conn: tenants.get(conn, tenant))))


@router.put(
    "/{tenant}",
    operation_id="put_tenant",
    summary="Make a tenant",
    response_model=answers.Tenant,
    responses={201: {"description": "it was made", "model": answers.Tenant}, **responses(404, 412, 428)},
    openapi_extra=_BODY,
)
async def put_tenant(state: Here, request: Request, tenant: Name, seen: Seen) -> Response:
    """One that is there stays as it is (200). Only another title wants If-Match. The body may be empty."""
    data = await body(request)
    fields = tenants.given(tenant, parsed(data) if data.strip() else {})

    def save(expect: int) -> Awaitable[tuple[tenants.Tenant, bool]]:
        return state.desk.within(lambda conn: tenants.save(conn, tenant, fields, expect))

    found, made = await made_or_changed(seen, "tenant", save)
    said: dict[str, Any] = plain(found)
    return tagged(said, 201 if made else 200)
