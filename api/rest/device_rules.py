"""The rules that mean one device: what a chart of its readings can draw levels from."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from psycopg import Connection

from api.rest.depends import Here, Tenant, need_key
from api.rest.devices import Device
from api.rest.problems import Json, responses
from api.rest.rules import RuleList, shown
from api.state import catalog
from headwater import rule_store
from headwater.model.rule import Rule, Subject, matches
from headwater.registry import entries, store

router = APIRouter(
    prefix="/v1/devices",
    tags=["rules"],
    dependencies=[Depends(need_key)],
    responses=responses(400, 401, 404, 422, 503),
)


@router.get(
    "/{device}/rules",
    operation_id="list_device_rules",
    summary="The rules that mean a device",
    response_model=RuleList,
)
async def list_device_rules(state: Here, device: Device, tenant: Tenant) -> Json:
    """Those that are judged and whose scope has its site, model and tags, by id.

    A device that the registry does not know is meant by rules of the whole tenant and by those that name it.
    """

    def work(conn: Connection[Any]) -> tuple[entries.Device | None, list[Rule]]:
        return store.find(conn, entries.DEVICES, tenant, device), rule_store.newest(conn, tenant)

    found, rules = await state.desk.within(work)
    if found is None:
        await catalog.device(state, tenant, device)
        subject = Subject(device=device)
    else:
        subject = Subject(device=device, site=found.site or "", model=found.model or "", tags=tuple(found.tags))
    return Json({"rules": [shown(rule) for rule in rules if rule.counts and matches(rule.scope, subject)]})
