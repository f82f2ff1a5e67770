"""Sites, models and devices as files over REST: `Accept` asks for one, `Content-Type` brings one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from psycopg import Connection
from pydantic import BaseModel

from api.rest.depends import Here, Tenant
from api.rest.problems import Json, responses
from api.rest.versions import body
from headwater.model.errors import BadRequest
from headwater.registry import files
from headwater.registry.entries import Kind
from headwater.registry.files import Format

_MOST_FILE_BYTES = 33_554_432
_TYPES = {"text/csv": Format.CSV, "application/x-ndjson": Format.NDJSON}
_BODY = {"requestBody": {"required": True, "content": {name: {"schema": {"type": "string"}} for name in _TYPES}}}


def asked(request: Request) -> Format | None:
    """The form of the file that `Accept` asks for, or None if for no file."""
    accepted = request.headers.get("accept", "")
    return next((form for name, form in _TYPES.items() if name in accepted), None)


def file(entries: Iterable[Any], form: Format, kind: Kind[Any]) -> Response:
    """The entries as a file that an import takes."""
    media = next(name for name, value in _TYPES.items() if value is form)
    return Response("".join(files.write(entries, form, kind)), media_type=media)


def add_import(router: APIRouter, kind: Kind[Any], answer: type[BaseModel]) -> None:
    """Adds the call that takes a file of such entries."""

    @router.post(
        "",
        operation_id=f"import_{kind.table}s",
        summary=f"Make or change the {kind.table}s of a file",
        response_model=answer,
        openapi_extra=_BODY,
        responses=responses(415),
    )
    async def take(state: Here, request: Request, tenant: Tenant) -> Json:
        """All of them or none. What the file does not say stays; a new device gets a token, which is told once."""
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        form = _TYPES.get(media)
        if form is None:
            raise HTTPException(415, f"expected the content type {' or '.join(_TYPES)}, got {media[:80] or 'none'!r}")
        try:
            text = (await body(request, _MOST_FILE_BYTES)).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise BadRequest(
                f"expected UTF-8, got bytes that are none: {error}; save the file as UTF-8", "body"
            ) from error

        def work(conn: Connection[Any]) -> list[files.Loaded]:
            return files.load(conn, kind, files.read(text, form, kind, tenant))

        done = await state.desk.within(work)
        return Json({f"{kind.table}s": [one.plain(kind) for one in done]})
