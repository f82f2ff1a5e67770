"""Every error as `application/problem+json` (RFC 9457): what was expected, what came, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from headwater.model.errors import BadFields, BadRequest, Conflict, NotFound, StackError

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"


class FieldProblem(BaseModel):
    """What is wrong with one field of a body."""

    field: str
    message: str = Field(description="what was expected, what came, what to do")


class Problem(BaseModel):
    """What went wrong with a request."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:headwater:problem:not-found",
                "title": "Not Found",
                "status": 404,
                "detail": "expected a device of tenant 'demo', got 'sim-001'. Near names: sim-0001, sim-0010.",
            }
        }
    )

    type: str = Field(description="which kind of problem; stable, for programs")
    title: str = Field(description="the kind in words")
    status: int = Field(description="the HTTP status")
    detail: str = Field(description="what was expected, what came, what to do; for people")
    field: str | None = Field(None, description="the parameter at fault, where there is one")
    errors: list[FieldProblem] = Field([], description="of a body: every field that is wrong")


class Json(Response):
    """JSON by orjson: not-a-number becomes null, where the standard library would write what no browser reads."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body."""
        return orjson.dumps(content)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What the OpenAPI description says of the errors with these statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def problem(
    status: int,
    kind: str,
    detail: str,
    field: str | None = None,
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> Response:
    """The answer to a request that cannot be served."""
    body: dict[str, Any] = {
        "type": f"urn:headwater:problem:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if field is not None:
        body["field"] = field
    if errors:
        body["errors"] = errors
    return Response(orjson.dumps(body), status, headers=headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Makes `app` answer each error of ours, of FastAPI and of nobody as a problem."""
    app.add_exception_handler(BadRequest, _bad_request)
    app.add_exception_handler(NotFound, _not_found)
    app.add_exception_handler(Conflict, _conflict)
    app.add_exception_handler(StackError, _unavailable)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _bad_request(_: Request, error: Exception) -> Response:
    faults = error.faults if isinstance(error, BadFields) else []
    errors = [fault._asdict() for fault in faults]
    return problem(400, "bad-request", str(error), getattr(error, "field", None), errors=errors)


async def _conflict(_: Request, error: Exception) -> Response:
    return problem(412, "conflict", str(error))


async def _not_found(_: Request, error: Exception) -> Response:
    return problem(404, "not-found", str(error))


async def _unavailable(_: Request, error: Exception) -> Response:
    return problem(503, "unavailable", str(error), headers={"Retry-After": "2"})


async def _invalid(_: Request, error: Exception) -> Response:
    errors = error.errors() if isinstance(error, RequestValidationError) else []
    first = errors[0] if errors else {}
    place = [str(part) for part in first.get("loc", ())]
    field = place[-1] if place else None
    came = "nothing" if first.get("type") == "missing" else repr(first.get("input"))[:120]
    detail = f"{field}: {first.get('msg', 'not as described')}; got {came}. /docs describes every parameter."
    return problem(422, "invalid-parameter", detail, field)


async def _http(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    headers = getattr(error, "headers", None)
    kind = HTTPStatus(status).phrase.lower().replace(" ", "-")
    if status == 404:
        return problem(404, kind, f"nothing is at {request.url.path}; /docs lists what there is.", headers=headers)
    if status == 405:
        headers = {"Allow": "GET", **(headers or {})}
        detail = f"expected {headers['Allow']} at {request.url.path}, got {request.method}."
        return problem(405, kind, detail, headers=headers)
    return problem(status, kind, str(getattr(error, "detail", "")), headers=headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("request failed", path=request.url.path, exc_info=error)
    return problem(
        500, "internal", "the API failed to answer; that is a fault of ours. `headwater logs api` has the trace."
    )
