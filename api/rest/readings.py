"""Raw readings of one metric of one device: each reading once, the first in the log, a page at a time."""

from __future__ import annotations

import base64
import re
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response

from api.rest.depends import Here, Tenant, clean, need_key
from api.rest.devices import Device
from api.rest.models import Readings
from api.rest.problems import Json, responses
from api.rest.series import TIME, span_of
from api.state import catalog
from api.state.clickhouse import Place, Span
from headwater.model.errors import BadRequest

ARROW = "application/vnd.apache.arrow.stream"
CSV = "text/csv"
JSON = "application/json"
FORMS = {JSON: "JSONColumns", CSV: "CSVWithNames", ARROW: "ArrowStream"}
"""Media type -> ClickHouse's name of the format."""

_ALSO = {"*/*": JSON, "application/*": JSON, "text/*": CSV}
_CURSOR = re.compile(r"(\d{1,15})\.([012])")

router = APIRouter(
    prefix="/v1/devices",
    tags=["readings"],
    dependencies=[Depends(need_key)],
    responses=responses(400, 401, 404, 406, 422, 503),
)


@router.get(
    "/{device}/readings",
    operation_id="get_readings",
    summary="Raw readings of a metric, a page at a time",
    response_model=Readings,
    responses={200: {"content": {CSV: {"schema": {"type": "string"}}, ARROW: {"schema": {"type": "string"}}}}},
)
async def get_readings(
    request: Request,
    state: Here,
    device: Device,
    tenant: Tenant,
    metric: Annotated[str, Query(min_length=1, max_length=256, examples=["temperature"], description="the metric")],
    from_: Annotated[str | None, Query(alias="from", description=f"{TIME}; default: 15 minutes before `to`")] = None,
    to: Annotated[str | None, Query(description=f"{TIME}; not included; default: now")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="about how many readings to answer with")] = 1_000,
    cursor: Annotated[str, Query(max_length=64, description="`next` of the answer before, with the same span")] = "",
    accept: Annotated[str, Header(description=f"{JSON}, {CSV} or {ARROW}")] = "*/*",
) -> Response:
    """Readings with an event time in [from, to), ascending. The next page is also in the header `Link`."""
    kind = chosen(accept)
    clean("metric", metric)
    start, end = span_of(from_, to)
    span = Span(tenant, device, metric, start, end, _place(cursor))
    # The page ends where the next one begins, not after so many readings: one that comes meanwhile pushes none out.
    after = await state.clickhouse.skip(span, limit)
    if after is None and not await state.clickhouse.has_metric(tenant, device, metric):
        await catalog.check_metric(state, tenant, device, metric)
    body = await state.clickhouse.page(span, after, FORMS[kind])
    columns = _columns(body) if kind == JSON else None
    following = None if after is None else _cursor(after)
    headers = {"Vary": "Accept"}
    if following:
        # With the very span of this page: without `to`, the next one would end later.
        url = request.url.include_query_params(**{"from": start, "to": end, "cursor": following})
        headers["Link"] = f'<{url.path}?{url.remove_query_params("key").query}>; rel="next"'
    if columns is None:
        return Response(body, media_type=kind, headers=headers)
    answer = {"tenant": tenant, "device": device, "metric": metric, "from": start, "to": end}
    return Json({**answer, "columns": columns, "next": following}, headers=headers)


def chosen(accept: str) -> str:
    """The media type to answer with: the first of the best wanted. Raises 406 if none of ours is."""
    wanted: list[tuple[float, str]] = []
    for part in accept.split(","):
        name, *options = (piece.strip().lower() for piece in part.split(";"))
        quality = next((option[2:] for option in options if option.startswith("q=")), "1")
        try:
            wanted.append((-float(quality), name))
        except ValueError:
            continue
    for refused, name in sorted(wanted, key=lambda each: each[0]):
        kind = _ALSO.get(name, name)
        if refused < 0 and kind in FORMS:
            return kind
    raise HTTPException(406, f"expected one of {', '.join(FORMS)} in Accept, got {accept[:120]!r}.")


def _columns(body: bytes) -> dict[str, list[Any]]:
    found = orjson.loads(body)
    values = [
        text if kind == "text" else bool(value) if kind == "flag" else value
        for kind, value, text in zip(found["kind"], found["value"], found["text"], strict=True)
    ]
    return {
        "t": found["ts"],
        "kind": found["kind"],
        "value": values,
        "log_time": found["log_time"],
        "received": found["received"],
    }


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(f"{place.ts}.{place.kind}".encode()).decode().rstrip("=")


def _place(cursor: str) -> Place:
    if not cursor:
        return Place()
    try:
        found = _CURSOR.fullmatch(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode())
    except ValueError:
        found = None
    if not found:
        raise BadRequest(
            f"expected `next` of an answer before as the cursor, got {cursor!r}: send it as it was", "cursor"
        )
    return Place(int(found[1]), int(found[2]))
