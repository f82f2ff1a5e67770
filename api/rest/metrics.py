"""Prometheus metrics of this process."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.rest.depends import Here, need_key
from api.rest.problems import responses

router = APIRouter(tags=["health"], dependencies=[Depends(need_key)], responses=responses(401))


@router.get(
    "/metrics",
    operation_id="get_metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus' text form"}
    },
)
async def get_metrics(state: Here) -> Response:
    """Requests, live clients, rows, delay, lag and dead letters, in Prometheus' text form."""
    return Response(state.meters.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})
