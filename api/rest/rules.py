"""Rules: what is an alert. Changes count within a second, and only if the caller has seen what it changes."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Header, Path, Request, Response
from psycopg import Connection
from pydantic import BaseModel, Field

from api.rest.depends import Here, Tenant, clean, need_key
from api.rest.problems import Json, responses
from api.rest.versions import json_body, tagged
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


def _seen(
    if_match: Annotated[
        str | None,
        Header(description='the ETag that was read, such as "3"; * for any; without it, only a new rule is made'),
    ] = None,
) -> int | None:
    if if_match is None:
        return 0
    if if_match.strip() == "*":
        return None
    found = re.fullmatch(r'\s*"?(\d{1,9})"?\s*', if_match, re.ASCII)
    if found is None:
        raise BadRequest(f'expected If-Match as "VERSION" or *, got {if_match[:80]!a}; send the ETag', "if-match")
    return int(found[1])


Id = Annotated[str, Depends(_rule)]
Seen = Annotated[int | None, Depends(_seen)]


@router.get("", operation_id="list_rules", summary="List the rules of a tenant", response_model=RuleList)
async def list_rules(state: Here, tenant: Tenant) -> Json:
    """Every rule that is not deleted, by id."""
    return Json(
        {"rules": [_builtins(rule) for rule in await state.desk.within(lambda conn: rule_store.newest(conn, tenant))]}
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
    return Json({"rules": [_builtins(one) for one in found]})


@router.put(
    "/{rule}",
    operation_id="put_rule",
    summary="Make or change a rule",
    response_model=RuleAnswer,
    responses=responses(412),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _BODY, "example": _EXAMPLE}},
        }
    },
)
async def put_rule(state: Here, request: Request, rule: Id, tenant: Tenant, seen: Seen) -> Response:
    """The body is a rule as in a file of rules. What is the same as before makes no version."""
    draft = _draft(await json_body(request, _MOST_BYTES), rule)

    def work(conn: Connection[Any]) -> Rule:
        rule_store.apply(conn, tenant, [draft], seen)
        return rule_store.one(conn, tenant, rule)

    return _answer(await state.desk.within(work))


@router.delete(
    "/{rule}", operation_id="delete_rule", summary="Delete a rule", status_code=204, responses=responses(404, 412)
)
async def delete_rule(state: Here, rule: Id, tenant: Tenant, seen: Seen) -> Response:
    """Its versions are kept, and its open alerts are cleared. Wants If-Match."""
    await state.desk.within(lambda conn: rule_store.delete(conn, tenant, rule, seen))
    return Response(status_code=204)


def _draft(data: Any, rule: str) -> Draft:
    if isinstance(data, dict) and data.setdefault("rule", rule) != rule:
        raise BadRequest(f"expected the rule {rule!r} of the address, got {str(data['rule'])!a}; leave it out", "rule")
    return checked(Draft, data)


def _answer(rule: Rule) -> Response:
    return tagged(_builtins(rule))


def _builtins(rule: Rule) -> Any:
    said = msgspec.to_builtins(rule)
    del said["v"]
    return said
