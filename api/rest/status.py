"""The state of the line."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from api.rest.depends import Here, need_key
from api.rest.models import StatusAnswer
from api.rest.problems import Json, responses

router = APIRouter(tags=["status"], dependencies=[Depends(need_key)], responses=responses(401))


@router.get("/v1/status", operation_id="get_status", summary="The state of the line", response_model=StatusAnswer)
async def get_status(state: Here) -> Json:
    """Rate, delay, lag, dead letters and devices; at most a second old. Live clients get the same each second."""
    return Json(state.status.current)
