"""Rules: what is an alert. Changes count within a second, and only if the caller has seen what it changes."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Request, Response
from psycopg import Connection
from pydantic import BaseModel, Field

from api.rest.depends import Here, Tenant, clean, need_key
from api.rest.problems import Json, responses
from api.rest.versions import Seen, json_body, made_or_changed, needed, tagged
from headwater import rule_store
from headwater.model.errors import BadRequest
from headwater.model.rule import Draft, Rule
from headwater.rules.check import checked

router = APIRouter(
    prefix="/v1/rules",
    tags=["rules"],
    dependencies=[Depends(need_key)],
    responses=responses(400, 401, 422, 503),
)

_MOST_BYTES = 65_536
(_BODY,), COMPONENTS = msgspec.json.schema_components([Draft], ref_template="#/components/schemas/{name}")
_EXAMPLE = {
    "rule": "boiler-hot",
    "severity": "warning",
    "scope": {"model": "boiler"},
    "when": {"kind": "threshold", "metric": "temperature", "above": 80, "clear": 75, "hold_ms": 10000},
}


class RuleAnswer(BaseModel):
    """A rule as it is stored; fields that have their default are left out."""

    rule: str = Field(description="its id within the tenant")
    tenant: str
    version: int = Field(description="counts from 1; the ETag, for If-Match")
    severity: str
    when: dict[str, Any] = Field(description="the condition, as in the body of a PUT")
    scope: dict[str, str] = Field({}, description="which devices; nothing given: all of the tenant")
    text: str = ""
    enabled: bool = True
    deleted: bool = Field(False, description="true of a version that says that the rule is gone")


class RuleList(BaseModel):
    """Rules, or versions of one."""

    rules: list[RuleAnswer]


def _rule(
    rule: Annotated[str, Path(max_length=128, description="the rule's id", examples=["boiler-hot"])],
) -> str:
    return clean("rule", rule)


Id = Annotated[str, Depends(_rule)]


@router.get("", operation_id="list_rules", summary="List the rules of a tenant", response_model=RuleList)
async def list_rules(state: Here, tenant: Tenant) -> Json:
    """Every rule that is not deleted, by id."""
    return Json(
        {"rules": [shown(rule) for rule in await state.desk.within(lambda conn: rule_store.newest(conn, tenant))]}
    )


@router.get("/{rule}", operation_id="get_rule", summary="One rule", response_model=RuleAnswer, responses=responses(404))
async def get_rule(state: Here, rule: Id, tenant: Tenant) -> Response:
    """The newest version."""
    return _answer(await state.desk.within(lambda conn: rule_store.one(conn, tenant, rule)))


@router.get(
    "/{rule}/versions",
    operation_id="list_rule_versions",
    summary="Every version of a rule",
    response_model=RuleList,
    responses=responses(404),
)
async def list_rule_versions(state: Here, rule: Id, tenant: Tenant) -> Json:
    """Oldest first, also of a rule that is deleted."""
    found = await state.desk.within(lambda conn: rule_store.versions(conn, tenant, rule))
    return Json({"rules": [shown(one) for one in found]})


@router.put(
    "/{rule}",
    operation_id="put_rule",
    summary="Make or change a rule",
    response_model=RuleAnswer,
    responses=responses(404, 412, 428),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _BODY, "example": _EXAMPLE}},
        }
    },
)
async def put_rule(state: Here, request: Request, rule: Id, tenant: Tenant, seen: Seen) -> Response:
    """The body is a rule as in a file. What is the same makes no version; without If-Match, only a new rule is made."""
    draft = _draft(await json_body(request, _MOST_BYTES), rule)

    def save(expect: int) -> Awaitable[Rule]:
        def work(conn: Connection[Any]) -> Rule:
            rule_store.apply(conn, tenant, [draft], expect)
            return rule_store.one(conn, tenant, rule)

        return state.desk.within(work)

    return _answer(await made_or_changed(seen, "rule", save))


@router.delete(
    "/{rule}", operation_id="delete_rule", summary="Delete a rule", status_code=204, responses=responses(404, 412, 428)
)
async def delete_rule(state: Here, rule: Id, tenant: Tenant, seen: Seen) -> Response:
    """Its versions are kept, and its open alerts are cleared. Wants If-Match."""
    expect = needed(seen, "rule")
    await state.desk.within(lambda conn: rule_store.delete(conn, tenant, rule, expect))
    return Response(status_code=204)


def _draft(data: Any, rule: str) -> Draft:
    if isinstance(data, dict) and data.setdefault("rule", rule) != rule:
        raise BadRequest(f"expected the rule {rule!r} of the address, got {str(data['rule'])!a}; leave it out", "rule")
    return checked(Draft, data)


def _answer(rule: Rule) -> Response:
    return tagged(shown(rule))


def shown(rule: Rule) -> Any:
    """A rule as `RuleAnswer` says."""
    said = msgspec.to_builtins(rule)
    del said["v"]
    return said
