"""One metric of one device over time, from what the stores hold ready: nothing is aggregated on request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from api.rest.depends import Here, Tenant, clean, need_key
from api.rest.devices import Device
from api.rest.models import Series
from api.rest.problems import Json, responses
from api.rest.registry import Name
from api.state import catalog, times
from api.state.postgres import Span
from api.state.state import State
from headwater.clock import now_ms
from headwater.model.errors import BadRequest
from headwater.model.fleet import MODEL, SITE
from headwater.model.pack import PANE_MS
from headwater.model.settings import MINUTE_MS, ApiSettings
from headwater.model.topics import RAW

router = APIRouter(
    tags=["series"],
    dependencies=[Depends(need_key)],
    responses=responses(400, 401, 404, 422, 503),
)

_DEFAULT_SPAN_MS = 15 * MINUTE_MS
TIME = "ISO 8601 (UTC unless it says otherwise) or epoch milliseconds"


@dataclass(frozen=True)
class Wanted:
    """What of a series is asked for."""

    tenant: str
    metric: str
    start: int
    end: int
    level: Literal["auto", "10s", "1m", "1h", "1d"]
    points: int | None


def _wanted(
    tenant: Tenant,
    metric: Annotated[str, Query(min_length=1, max_length=256, examples=["temperature"], description="the metric")],
    from_: Annotated[str | None, Query(alias="from", description=f"{TIME}; default: 15 minutes before `to`")] = None,
    to: Annotated[str | None, Query(description=f"{TIME}; not included; default: now")] = None,
    level: Annotated[
        Literal["auto", "10s", "1m", "1h", "1d"],
        Query(description="width of a bucket; auto takes the finest with at most `points` of them"),
    ] = "auto",
    points: Annotated[int | None, Query(ge=1, description="most buckets; default: as many as are allowed")] = None,
) -> Wanted:
    clean("metric", metric)
    return Wanted(tenant, metric, *span_of(from_, to), level, points)


Asked = Annotated[Wanted, Depends(_wanted)]


@router.get(
    "/v1/devices/{device}/series",
    operation_id="get_series",
    summary="A metric over time, as columns",
    response_model=Series,
)
async def get_series(state: Here, device: Device, wanted: Asked) -> Json:
    """Buckets that touch [from, to). Those without readings are left out."""
    return await _series(state, device, wanted)


@router.get(
    "/v1/sites/{name}/series",
    operation_id="get_site_series",
    summary="A metric of a site over time, as columns",
    response_model=Series,
)
async def get_site_series(state: Here, name: Name, wanted: Asked) -> Json:
    """Readings of the devices that were there when their readings came, in the buckets that touch [from, to)."""
    return await _series(state, SITE + name, wanted)


@router.get(
    "/v1/models/{name}/series",
    operation_id="get_model_series",
    summary="A metric of a model over time, as columns",
    response_model=Series,
)
async def get_model_series(state: Here, name: Name, wanted: Asked) -> Json:
    """Readings of the devices that were of it when their readings came, in the buckets that touch [from, to)."""
    return await _series(state, MODEL + name, wanted)


async def _series(state: State, device: str, wanted: Wanted) -> Json:
    tenant, metric, start, end, points = wanted.tenant, wanted.metric, wanted.start, wanted.end, wanted.points
    most = state.settings.max_points
    if points is not None and points > most:
        raise BadRequest(f"expected at most {most} points, got {points}: ask for fewer, or for shorter spans", "points")
    plan = times.choose(wanted.level, start, end, points or most, most, _oldest(state.settings))
    columns = await state.postgres.series(plan.level, Span(tenant, device, metric, plan.first_ms, end))
    if not columns["t"]:
        await catalog.check_metric(state, tenant, device, metric)
    log_time = await state.postgres.log_time(RAW.name, state.settings.partitions)
    return Json(
        {
            "tenant": tenant,
            "device": device,
            "metric": metric,
            "level": plan.level.name,
            "from": start,
            "to": end,
            "final_before": None if log_time is None else log_time - state.settings.horizon_ms - PANE_MS,
            "columns": columns,
        }
    )


def span_of(from_: str | None, to: str | None) -> tuple[int, int]:
    """[from, to) in epoch ms, the last 15 minutes by default. Raises `BadRequest`."""
    end = times.parse(to, "to") if to is not None else now_ms()
    start = times.parse(from_, "from") if from_ is not None else max(0, end - _DEFAULT_SPAN_MS)
    if start >= end:
        raise BadRequest(
            f"expected from before to, got from={start} and to={end} (epoch ms): swap or move them", "from"
        )
    return start, end


def _oldest(settings: ApiSettings) -> dict[str, int]:
    """Level -> before when retention may have removed it."""
    now = now_ms()
    days = {"10s": settings.keep_10s_days, "1m": settings.keep_1m_days}
    return {level: now - kept * times.DAY_MS for level, kept in days.items()}
