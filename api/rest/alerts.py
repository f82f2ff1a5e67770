"""Alerts: what is active, what was, the story of each, and who has seen it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field

from api.rest.depends import AskedFacts, Here, Tenant, clean, need_key
from api.rest.problems import Json, responses
from api.state import alerts
from api.state.alerts import Condition
from headwater.model.rule import Severity

router = APIRouter(
    prefix="/v1/alerts",
    tags=["alerting"],
    dependencies=[Depends(need_key)],
    responses=responses(400, 401, 422, 503),
)


class Acknowledgement(BaseModel):
    """Who has seen an alert."""

    by: str = Field(min_length=1, max_length=128, description="who", examples=["shift-2"])
    comment: str = Field("", max_length=2_000, description="what they said of it")


class Acknowledged(Acknowledgement):
    """And when."""

    at: int = Field(description="UTC epoch ms")


class AlertStep(BaseModel):
    """One thing that happened to an alert."""

    happened: str = Field(description="raised, escalated, deescalated or cleared")
    severity: str
    why: str = Field(description="reading, silence, expired, rule-changed, rule-disabled, rule-deleted, out-of-scope")
    event_time: int
    log_time: int
    value: Any = Field(description="the number, text or truth value that decided; null if none did")
    level: float | None
    version: int = Field(description="of the rule")


class Alert(BaseModel):
    """An episode: from raised to cleared. Times are UTC epoch ms, those of readings unless it says otherwise."""

    alert_id: str
    rule: str = Field(description="the rule, or pattern: and the name of a pattern of analysts")
    version: int = Field(description="of the rule, when the alert last changed")
    device: str
    metric: str
    severity: str = Field(description="now; of a cleared one before that")
    worst: str
    start: int
    raised: int
    cleared: int | None = Field(description="null while it is active")
    changed: int = Field(description="log time of the last change")
    why: str
    value: Any
    level: float | None
    acknowledged: Acknowledged | None


class AlertStory(Alert):
    """An episode with all that happened to it, oldest first."""

    events: list[AlertStep]


class AlertList(BaseModel):
    """Episodes, the last changed first, and where to go on."""

    tenant: str
    alerts: list[Alert]
    next: str | None = Field(description="send as `cursor` for more; null at the end")


def _alert(
    alert_id: Annotated[str, Path(max_length=128, description="the alert's id", examples=["0f" * 16])],
) -> str:
    return clean("alert", alert_id)


Id = Annotated[str, Depends(_alert)]


@router.get("", operation_id="list_alerts", summary="List the alerts of a tenant", response_model=AlertList)
async def list_alerts(
    state: Here,
    tenant: Tenant,
    facts: AskedFacts,
    condition: Annotated[Condition, Query(description="active, cleared or any")] = "active",
    at_least: Annotated[Severity | None, Query(description="of this severity or a worse one")] = None,
    device: Annotated[str | None, Query(max_length=128, description="of this device")] = None,
    rule: Annotated[str | None, Query(max_length=128, description="of this rule")] = None,
    acknowledged: Annotated[bool | None, Query(description="true: that somebody has seen; false: nobody yet")] = None,
    limit: Annotated[int, Query(ge=1, le=1_000, description="most alerts to answer with")] = 100,
    cursor: Annotated[str, Query(max_length=128, description="`next` of the answer before, with the same filter")] = "",
) -> Json:
    """Those that are active, unless asked for others; the last changed first.

    Site, model and tag are those that the device has now, not those of when the alert was raised.
    """
    named = {name: None if text is None else clean(name, text) for name, text in (("device", device), ("rule", rule))}
    wanted = alerts.Wanted(tenant, condition, at_least, named["device"], named["rule"], acknowledged, facts)
    found, after = await alerts.page(state.postgres, wanted, limit, cursor)
    return Json(dict(tenant=tenant, alerts=found, next=after))  # noqa: C408 - as a literal it reads as a topic


@router.get(
    "/{alert_id}",
    operation_id="get_alert",
    summary="One alert and its story",
    response_model=AlertStory,
    responses=responses(404),
)
async def get_alert(state: Here, tenant: Tenant, alert_id: Id) -> Json:
    """With every event, oldest first."""
    return Json(await alerts.one(state.postgres, tenant, alert_id))


@router.put(
    "/{alert_id}/acknowledgement",
    operation_id="acknowledge_alert",
    summary="Say that somebody has seen an alert",
    response_model=AlertStory,
    responses=responses(404),
)
async def acknowledge_alert(state: Here, tenant: Tenant, alert_id: Id, said: Acknowledgement) -> Json:
    """It stays as active or cleared as it was. Said again, the comment is the new one and the time the first."""
    by, comment = clean("by", said.by), clean("comment", said.comment)
    await state.desk.within(lambda conn: alerts.acknowledge(conn, tenant, alert_id, by, comment))
    return Json(await alerts.one(state.postgres, tenant, alert_id))


@router.delete(
    "/{alert_id}/acknowledgement",
    operation_id="take_acknowledgement_back",
    summary="Take an acknowledgement back",
    status_code=204,
    responses=responses(404),
)
async def take_acknowledgement_back(state: Here, tenant: Tenant, alert_id: Id) -> Response:
    """As if nobody had seen it."""
    await state.desk.within(lambda conn: alerts.take_back(conn, tenant, alert_id))
    return Response(status_code=204)
