"""Whether the process lives, and whether it can serve everything. Both are open, as probes have no key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from fastapi import APIRouter

from api.rest.depends import Here
from api.rest.models import Health, Readiness
from api.rest.problems import Json
from api.state.state import State
from headwater.model.errors import HeadwaterError

router = APIRouter(tags=["health"])


@router.get("/healthz", operation_id="get_health", summary="The process runs", response_model=Health)
async def get_health() -> Json:
    """Always 200 while the process answers at all."""
    return Json({"status": "ok"})


@router.get(
    "/readyz",
    operation_id="get_readiness",
    summary="Everything can be served",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "A part is away; `parts` says which and why"}},
)
async def get_readiness(state: Here) -> Json:
    """200 if Kafka, PostgreSQL and Valkey answer and the live core has caught up with the log; else 503."""
    postgres, valkey = await asyncio.gather(_probe(state.postgres.ping()), _probe(state.valkey.ping()))
    parts = {"kafka": _kafka(state), "postgres": postgres, "valkey": valkey, "live": _live(state)}
    ready = all(part == "ok" for part in parts.values())
    return Json({"ready": ready, "parts": parts}, 200 if ready else 503)


async def _probe(ping: Awaitable[None]) -> str:
    try:
        await ping
    except HeadwaterError as error:
        return str(error)
    return "ok"


def _kafka(state: State) -> str:
    return f"Kafka does not answer ({state.lag.trouble})" if state.lag.trouble else "ok"


def _live(state: State) -> str:
    if state.feed.ready:
        return state.feed.trouble or "ok"
    return f"catching up with the log ({state.feed.trouble or 'reading'})"
