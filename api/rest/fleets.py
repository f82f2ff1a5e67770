"""Sites and models as fleets: the newest rows of the readings of all their devices."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from api.rest.depends import Here, Tenant, need_key
from api.rest.device_models import Latest
from api.rest.problems import Json, responses
from api.state import catalog

router = APIRouter(
    prefix="/v1/fleets",
    tags=["series"],
    dependencies=[Depends(need_key)],
    responses=responses(400, 401, 422, 503),
)


class FleetLatest(BaseModel):
    """The newest row of each metric of one site or model."""

    fleet: str = Field(description="_site/ and the name of the site, or _model/ and that of the model")
    metrics: dict[str, Latest]


class Fleets(BaseModel):
    """Every site and model of a tenant that has a row."""

    tenant: str
    fleets: list[FleetLatest]


@router.get("", operation_id="list_fleets", summary="The newest values of every site and model", response_model=Fleets)
async def list_fleets(state: Here, tenant: Tenant) -> Json:
    """The newest 10 s row of each metric of each site and model, over all the devices that were there or of it."""
    return Json({"tenant": tenant, "fleets": await catalog.fleets(state, tenant)})
