"""Provisioning keys of models, and the one call that needs no access key: a device that registers itself with one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.rest import registry_models as answers
from api.rest.depends import Here, Tenant, clean
from api.rest.problems import Json, problem, responses
from api.rest.registry import Name, models, plain
from api.rest.versions import Seen, json_body, needed, tagged
from api.state.access import bearer
from headwater import registry
from headwater.registry import keys, provisioning
from headwater.registry.attempts import EVERY_S, Attempts
from headwater.registry.provisioning import BAD_KEY, BAD_REQUEST, MOST_BYTES, NAME_TAKEN, Refusal

router = APIRouter(prefix="/v1/provision", tags=["registry"])

_STATUS = {BAD_KEY: 401, BAD_REQUEST: 400, NAME_TAKEN: 409}
_attempts = Attempts()
_key = HTTPBearer(auto_error=False, scheme_name="ProvisioningKey", description="a provisioning key of a model")


def _id(key: Annotated[str, Path(max_length=64, description="the id of the key", examples=["1f0c2d3e4b5a"])]) -> str:
    return clean("key", key)


Id = Annotated[str, Depends(_id)]


def _body(example: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


@models.get(
    "/{name}/keys",
    operation_id="list_provisioning_keys",
    summary="List the provisioning keys of a model",
    response_model=answers.Keys,
    responses=responses(404),
)
async def list_keys(state: Here, name: Name, tenant: Tenant) -> Json:
    """Every key that it ever had, newest first; never the keys themselves."""
    found = await state.desk.within(lambda conn: keys.of_model(conn, tenant, name))
    return Json({"keys": list(map(plain, found))})


@models.post(
    "/{name}/keys",
    operation_id="add_provisioning_key",
    summary="Make a provisioning key of a model",
    status_code=201,
    response_model=answers.NewKey,
    responses=responses(404),
    openapi_extra=_body({"expires_s": 2_592_000, "most_uses": 100}),
)
async def add_key(state: Here, request: Request, name: Name, tenant: Tenant) -> Response:
    """With it, devices register themselves; `expires_s` and `most_uses` bound it. The key is told once."""
    limits, key = keys.limits(await json_body(request)), registry.new_token()
    made = await state.desk.within(lambda conn: keys.add(conn, tenant, name, key, limits))
    return tagged({**plain(made), "key": key}, 201)


@models.get(
    "/{name}/keys/{key}",
    operation_id="get_provisioning_key",
    summary="One provisioning key",
    response_model=answers.Key,
    responses=responses(404),
)
async def get_key(state: Here, name: Name, key: Id, tenant: Tenant) -> Response:
    """How often it was used, and whether it is still good; its version is the ETag."""
    return tagged(plain(await state.desk.within(lambda conn: keys.get(conn, tenant, name, key))))


@models.delete(
    "/{name}/keys/{key}",
    operation_id="revoke_provisioning_key",
    summary="Withdraw a provisioning key",
    status_code=204,
    responses=responses(404, 412, 428),
)
async def revoke_key(state: Here, name: Name, key: Id, tenant: Tenant, seen: Seen) -> Response:
    """The devices that it has registered stay. A use of the key does not change its version."""
    expect = needed(seen, "provisioning key")
    await state.desk.within(lambda conn: keys.revoke(conn, tenant, name, key, expect))
    return Response(status_code=204)


@router.post(
    "",
    operation_id="provision_device",
    summary="Register the device that asks",
    status_code=201,
    response_model=answers.Provisioned,
    responses={
        200: {"description": "it was registered before, with this very token", "model": answers.Provisioned},
        **responses(400, 401, 403, 409, 429, 503),
    },
    openapi_extra=_body({"device": "boiler-7"}),
)
async def provision(
    state: Here, request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Depends(_key)]
) -> Response:
    """With a provisioning key in the place of the access key; only where HEADWATER_UNKNOWN_DEVICES is `claim`.

    Send a `token` of your own (32 random characters or more) to be able to ask again; else one is made.
    """
    key = bearer(request.headers.get("authorization"))
    if key is None:
        raise HTTPException(
            401,
            "expected a provisioning key as `Authorization: Bearer KEY`, got none; send the one that you were given",
            {"WWW-Authenticate": "Bearer"},
        )
    if state.settings.unknown_devices != "claim":
        raise HTTPException(403, "unknown devices are refused here (HEADWATER_UNKNOWN_DEVICES); register the device")
    address = request.client.host if request.client else ""
    if _attempts.exhausted(address):
        detail = "too many failures from this address within a minute; ask again in a minute"
        raise HTTPException(429, detail, {"Retry-After": str(int(EVERY_S))})
    given, digest = await json_body(request, MOST_BYTES), registry.token_sha256(key)
    outcome = await state.desk.within(lambda conn: provisioning.provision(conn, digest, given))
    if isinstance(outcome, Refusal):
        _attempts.failed(address)
        return problem(_STATUS[outcome.reason], outcome.reason, outcome.detail)
    return Json(outcome._asdict(), 201 if outcome.made else 200)
