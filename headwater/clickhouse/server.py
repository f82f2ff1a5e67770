"""The HTTP side: `/ping`, and `/` for statements, with ClickHouse's headers, error codes and basic authentication.

An answer is sent when the statement has ended, so an insert that was answered is on the disk (the tables are made with
`fsync_after_insert`). Not there: sessions, progress, a compressed answer, external tables.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import tempfile
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import lz4.frame
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from headwater.clickhouse.ask import Ask, BadAsk, ask_of
from headwater.clickhouse.engine import Engine, EngineError

MOST_BYTES = 256 * 2**20
"""Largest body."""

_HEAD = 65_536
_STATUS = {62: 400, 60: 404, 81: 404, 47: 404, 516: 403, 241: 503, 396: 413, 48: 501}


@dataclass(frozen=True)
class Login:
    """Who may ask."""

    user: str
    password: str

    def opens(self, request: Request) -> bool:
        """True if the request shows both, as basic authentication, in ClickHouse's headers or as parameters."""
        user, password = _shown(request)
        good_user = secrets.compare_digest(user.encode(), self.user.encode())
        return secrets.compare_digest(password.encode(), self.password.encode()) and good_user


def create_app(engine: Engine, login: Login, folder: Path) -> Starlette:
    """The server over `engine`. `folder` takes the bodies of inserts while they run, and nothing else."""

    async def ping(_: Request) -> Response:
        return PlainTextResponse("Ok.\n")

    async def root(request: Request) -> Response:
        try:
            if not login.opens(request):
                raise BadAsk(516, "AUTHENTICATION_FAILED", "expected the user and the password of this server")
            with tempfile.NamedTemporaryFile(dir=folder) as body:
                return await _answer(engine, request, body)
        except (BadAsk, EngineError) as error:
            status = _STATUS.get(error.code, 500)
            headers = {"X-ClickHouse-Exception-Code": str(error.code), "Connection": "close" if status == 413 else ""}
            return PlainTextResponse(f"{error}\n", status, {name: value for name, value in headers.items() if value})

    routes: list[tuple[str, Callable[[Request], Awaitable[Response]], list[str]]] = [
        ("/ping", ping, ["GET"]),
        ("/", root, ["GET", "POST"]),
    ]
    return Starlette(routes=[Route(path, door, methods=methods) for path, door, methods in routes])


async def _answer(engine: Engine, request: Request, body: IO[bytes]) -> Response:
    head = await _receive(request, body)
    asked = ask_of(request.query_params, request.headers, head)
    if not asked.statement.strip():
        return PlainTextResponse("Ok.\n")
    if not asked.has_data and body.tell() > len(head):
        body.seek(0)
        asked = ask_of(request.query_params, request.headers, body.read())
    path = await run_in_threadpool(_data_file, asked, body)
    answer = await run_in_threadpool(engine.run, asked, path)
    headers: dict[str, Any] = {
        "X-ClickHouse-Summary": answer.summary,
        "X-ClickHouse-Timezone": "UTC",
        "X-ClickHouse-Query-Id": request.query_params.get("query_id") or secrets.token_hex(8),
        "Content-Type": "text/plain; charset=UTF-8",
    }
    if answer.body:
        headers["X-ClickHouse-Format"] = asked.form
    return Response(answer.body, 200, headers)


async def _receive(request: Request, body: IO[bytes]) -> bytes:
    """Writes the body into its file, decompressed; returns its beginning."""
    head = bytearray()
    expand = _expander(request.headers.get("content-encoding", "").lower())
    async for piece in request.stream():
        try:
            chunk = expand(piece)
        except (RuntimeError, zlib.error) as error:
            raise BadAsk(354, "INFLATE_FAILED", f"expected a body as its Content-Encoding says: {error}") from None
        if body.tell() + len(chunk) > MOST_BYTES:
            raise BadAsk(396, "TOO_MANY_ROWS_OR_BYTES", f"expected a body of at most {MOST_BYTES} bytes, got more")
        body.write(chunk)
        head += chunk[: max(0, _HEAD - len(head))]
    body.flush()
    return bytes(head)


def _expander(coding: str) -> Callable[[bytes], bytes]:
    """What takes the pieces of a body of this coding. `lz4` is what the official client sends."""
    if coding in ("", "identity"):
        return lambda piece: piece
    if coding == "lz4":
        frames = lz4.frame.LZ4FrameDecompressor()
        return lambda piece: bytes(frames.decompress(piece)) if piece else b""
    if coding == "gzip":
        return zlib.decompressobj(wbits=31).decompress
    raise BadAsk(48, "NOT_IMPLEMENTED", f"expected a Content-Encoding of lz4 or gzip, or none, got {coding!r}")


def _data_file(asked: Ask, body: IO[bytes]) -> str:
    """The name of the file that holds the data of an insert and nothing else."""
    if asked.skip:
        body.seek(asked.skip)
        rest = body.read()
        body.seek(0)
        body.truncate()
        body.write(rest)
        body.flush()
    return body.name


def _shown(request: Request) -> tuple[str, str]:
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return user, password
    given = request.query_params
    user = request.headers.get("x-clickhouse-user") or given.get("user", "default")
    return user, request.headers.get("x-clickhouse-key") or given.get("password", "")
