"""Versions over HTTP: an ETag with each answer, and a change says which one it has seen (RFC 9110, RFC 6585)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Header, HTTPException, Request, Response

from api.rest.problems import Json
from headwater.model.errors import BadRequest, Conflict
from headwater.model.version import ANY_OLD, NEW

MOST_BYTES = 1_048_576
_Answer = TypeVar("_Answer")


def _seen(
    if_match: Annotated[
        str | None, Header(description='the ETag of the answer that was read, such as "3"; * for whatever there is')
    ] = None,
) -> int | None:
    """The version that the caller has seen, `ANY_OLD` for *, None if the caller does not say. Raises `BadRequest`."""
    if if_match is None:
        return None
    if if_match.strip() == "*":
        return ANY_OLD
    found = re.fullmatch(r'\s*"?(\d{1,18})"?\s*', if_match, re.ASCII)
    if found is None or int(found[1]) == 0:
        raise BadRequest(f'expected If-Match as "VERSION" or *, got {if_match[:80]!a}; send the ETag', "if-match")
    return int(found[1])


Seen = Annotated[int | None, Depends(_seen)]


def needed(seen: int | None, what: str) -> int:
    """The version, where there must be one. Raises 428 if there is none."""
    if seen is None:
        raise HTTPException(
            428,
            f"expected the header If-Match with the ETag of the {what} that you have read, got none; "
            "read it and send its ETag, so that nobody's change is lost (or * to overwrite whatever there is)",
        )
    return seen


async def made_or_changed(seen: int | None, what: str, work: Callable[[int], Awaitable[_Answer]]) -> _Answer:
    """What `work` gives for the version that it must expect: none yet, if the caller has seen none.

    Raises 428 if there is one and the caller does not say which version of it was seen.
    """
    try:
        return await work(NEW if seen is None else seen)
    except Conflict:
        needed(seen, what)
        raise


async def body(request: Request, most: int = MOST_BYTES) -> bytes:
    """The body. Raises `BadRequest` if it is longer than `most` bytes."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            raise BadRequest(f"expected a body of at most {most} bytes, got more; send it in parts", "body")
    return bytes(data)


async def json_body(request: Request, most: int = MOST_BYTES) -> Any:
    """The body as JSON. Raises `BadRequest`."""
    return parsed(await body(request, most))


def parsed(data: bytes) -> Any:
    """A body as JSON. Raises `BadRequest`."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"expected JSON, got {data[:80]!r}: {error}; correct it", "body") from error


def tagged(said: dict[str, Any], status: int = 200) -> Response:
    """An answer with its version as the ETag."""
    headers = {"ETag": f'"{said["version"]}"'}
    return Response(orjson.dumps(said), status, headers=headers, media_type=Json.media_type)
