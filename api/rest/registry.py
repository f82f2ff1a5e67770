"""Sites, models and devices as registered: read, made, changed and deleted, each by its version."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel

from api.rest import registry_files
from api.rest import registry_models as answers
from api.rest.depends import Here, Tenant, clean, need_key
from api.rest.problems import Json, responses
from api.rest.versions import Seen, json_body, made_or_changed, needed, tagged
from headwater.registry import search, store
from headwater.registry.entries import DEVICES, MODELS, SITES, Kind, changes

_EXAMPLES: dict[str, dict[str, Any]] = {
    "site": {"title": "Plant north", "zone": "Europe/Berlin", "place": "Kiel"},
    "model": {"title": "Boiler", "metrics": {"pressure_bar": {"unit": "bar", "low": 0, "high": 4}}},
    "device": {"site": "north", "model": "boiler", "tags": ["roof"], "attributes": {"server": {"serial": 7}}},
}


def _name(
    name: Annotated[str, Path(max_length=128, description="its name, percent-encoded", examples=["north"])],
) -> str:
    return clean("name", name)


Name = Annotated[str, Depends(_name)]


def new_router(prefix: str) -> APIRouter:
    """A router of the registry: with the key, and the errors that all calls have."""
    return APIRouter(
        prefix=prefix,
        tags=["registry"],
        dependencies=[Depends(need_key)],
        responses=responses(400, 401, 422, 503),
    )


def plain(entry: Any) -> dict[str, Any]:
    """An entry as it is answered."""
    said: dict[str, Any] = msgspec.to_builtins(entry)
    return said


def add_calls(router: APIRouter, kind: Kind[Any], answer: type[BaseModel]) -> None:
    """Adds the calls that every kind of entry has, on one of that name."""
    what = kind.table
    wants = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
    wants["content"]["application/json"]["example"] = _EXAMPLES[what]  # type: ignore[index]
    extra = {"requestBody": wants}

    @router.get(
        "/{name}",
        operation_id=f"get_registered_{what}",
        summary=f"One {what}",
        response_model=answer,
        responses=responses(404),
    )
    async def get(state: Here, name: Name, tenant: Tenant) -> Response:
        """As it is now; its version is the ETag."""
        return tagged(plain(await state.desk.within(lambda conn: store.get(conn, kind, tenant, name))))

    @router.put(
        "/{name}",
        operation_id=f"put_registered_{what}",
        summary=f"Make a {what}, or replace it",
        response_model=answer,
        responses={201: {"description": "it was made", "model": answer}, **responses(404, 412, 428)},
        openapi_extra=extra,
    )
    async def put(state: Here, request: Request, name: Name, tenant: Tenant, seen: Seen) -> Response:
        """Without If-Match it is made (201), and 428 if there is one; fields that are not given have their defaults."""
        given = changes(kind, _without_name(await json_body(request), kind, tenant, name))

        def save(expect: int) -> Awaitable[Any]:
            return state.desk.within(lambda conn: store.save(conn, kind, tenant, name, given, expect))

        entry = await made_or_changed(seen, what, save)
        return tagged(plain(entry), 201 if seen is None else 200)

    @router.patch(
        "/{name}",
        operation_id=f"patch_registered_{what}",
        summary=f"Change some fields of a {what}",
        response_model=answer,
        responses=responses(404, 412, 428),
        openapi_extra=extra,
    )
    async def patch(state: Here, request: Request, name: Name, tenant: Tenant, seen: Seen) -> Response:
        """Fields that are not given stay; an attribute that is null goes."""
        expect = needed(seen, what)
        given = changes(kind, _without_name(await json_body(request), kind, tenant, name))
        return tagged(
            plain(await state.desk.within(lambda conn: store.save(conn, kind, tenant, name, given, expect, True)))
        )

    @router.delete(
        "/{name}",
        operation_id=f"delete_registered_{what}",
        summary=f"Delete a {what}",
        status_code=204,
        responses=responses(404, 412, 428),
    )
    async def delete(state: Here, name: Name, tenant: Tenant, seen: Seen) -> Response:
        """Its readings stay. A site or model that devices have is not deleted (412)."""
        expect = needed(seen, what)
        await state.desk.within(lambda conn: store.remove(conn, kind, tenant, name, expect))
        return Response(status_code=204)


def _without_name(data: Any, kind: Kind[Any], tenant: str, name: str) -> Any:
    """The body without what the address says, if it says the same: an answer can be sent back."""
    if not isinstance(data, dict):
        return data
    same = {"tenant": tenant, kind.table: name}
    return {key: value for key, value in data.items() if key not in same or value != same[key]}


sites, models, devices = new_router("/v1/sites"), new_router("/v1/models"), new_router("/v1/registry/devices")
add_calls(sites, SITES, answers.Site)
add_calls(models, MODELS, answers.Model)
add_calls(devices, DEVICES, answers.Device)
registry_files.add_import(sites, SITES, answers.ImportedSites)
registry_files.add_import(models, MODELS, answers.ImportedModels)
registry_files.add_import(devices, DEVICES, answers.ImportedDevices)


@sites.get("", operation_id="list_sites", summary="List sites", response_model=answers.Sites)
async def list_sites(state: Here, request: Request, tenant: Tenant) -> Response:
    """All sites of a tenant, by name. `Accept: text/csv` or `application/x-ndjson` gives them as a file."""
    return await _listed(state, request, SITES, tenant)


@models.get("", operation_id="list_models", summary="List models", response_model=answers.Models)
async def list_models(state: Here, request: Request, tenant: Tenant) -> Response:
    """All models of a tenant, by name. `Accept: text/csv` or `application/x-ndjson` gives them as a file."""
    return await _listed(state, request, MODELS, tenant)


async def _listed(state: Here, request: Request, kind: Kind[Any], tenant: str) -> Response:
    found = await state.desk.within(lambda conn: search.entries(conn, kind, tenant))
    form = registry_files.asked(request)
    return Json({f"{kind.table}s": list(map(plain, found))}) if form is None else registry_files.file(found, form, kind)
