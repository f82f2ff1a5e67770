"""The live door: pushes what changed, a coalesced frame a tick, to as many clients as come.

No client has a queue. Each remembers how far it has been told (`seq`) and has at most one frame on its way; the next
is made when that one is taken, of all that changed meanwhile. So a slow client costs one frame of memory, always gets
the newest state, and never delays another; one that takes nothing for half a minute is closed.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import cast

import orjson
import structlog
from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from api.state.access import bearer
from api.state.rows import Subscription
from api.state.state import State
from api.ws import messages
from api.ws.alerts import KIND as ALERTS_FRAME
from api.ws.alerts import AlertFrames
from api.ws.frames import Frames
from api.ws.messages import Ping, Subscribe
from headwater.clock import now_ms
from headwater.model.errors import BadRequest

log = structlog.get_logger(__name__)
router = APIRouter()

EVICT_S = 30.0
"""How long a frame may lie untaken before its client is closed."""

BAD_MESSAGE = 4400
BAD_KEY = 4401

_FRESH_S = 20.0
"""How old a client's cursor may grow while nothing of what it wants changes."""

_GONE = (WebSocketDisconnect, RuntimeError)
"""What a send to a client that has left raises; Starlette uses RuntimeError for one that has closed."""


@dataclass
class Client:
    """One connection: what it wants, and how far it has been told (`alerts_seq` None: nothing of alerts yet)."""

    socket: WebSocket
    state: State
    frames: Frames
    alert_frames: AlertFrames
    wanted: Subscribe | None = None
    subscription: Subscription | None = None
    seq: int = 0
    alerts_seq: int | None = None
    status_serial: int = -1
    told_at: float = 0.0
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        """Takes the client's messages until it goes. Raises `BadRequest` on one that is none."""
        while True:
            message = await self.socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            said = messages.read(message.get("text") or message.get("bytes") or "")
            if isinstance(said, Ping):
                now = now_ms()
                await self.send("pong", orjson.dumps({"type": "pong", "t": said.t, "now": now}).decode())
            else:
                # Read whole now, so that what is wrong with it is refused here.
                _ = said.subscription, said.positions
                self.wanted = said
                self.asked.set()

    async def tell(self) -> None:
        """Sends rows, alerts and status, tick by tick, for as long as the connection stands."""
        await self.asked.wait()
        while True:
            turn = self.state.feed.turn()
            if self.state.feed.ready:
                await self._rows()
            if self.state.alerts.ready:
                await self._alerts()
            await self._status()
            await turn.wait()

    async def send(self, kind: str, text: str) -> None:
        """Sends one frame. Raises `TimeoutError` if the client takes nothing for `EVICT_S`."""
        async with asyncio.timeout(EVICT_S):
            await self.socket.send_text(text)
        self.state.meters.sent(kind, len(text))

    async def _rows(self) -> None:
        if self.wanted is not None:
            wanted, self.wanted = self.wanted, None
            self.subscription = wanted.subscription
            self.alerts_seq = None
            seq = self.state.live.seq
            positions = wanted.positions
            frame = None if positions is None else self.frames.resume(self.subscription, positions)
        elif self.subscription is not None:
            seq = self.state.live.seq
            frame = self.frames.since(self.subscription, self.seq)
            if not frame and frame is not None and time.monotonic() - self.told_at > _FRESH_S:
                frame = self.frames.nothing(self.subscription)
        else:
            return
        # Before the first await: what comes during the send belongs to the next frame.
        self.seq = seq
        if frame == "":
            return
        self.told_at = time.monotonic()
        if frame is None:
            await self.send("snapshot", self.frames.snapshot(self.subscription))
        else:
            await self.send("rows", frame)

    async def _alerts(self) -> None:
        if self.subscription is None:
            return
        tenant, told = self.subscription.tenant, self.alerts_seq
        frame = self.alert_frames.whole(tenant) if told is None else self.alert_frames.since(tenant, told)
        # Before the await, as above.
        self.alerts_seq = self.state.alerts.board.seq
        if frame:
            await self.send(ALERTS_FRAME, frame)

    async def _status(self) -> None:
        board = self.state.status
        if self.status_serial != board.serial:
            self.status_serial = board.serial
            await self.send("status", board.text)


@router.websocket("/v1/live")
async def live(socket: WebSocket) -> None:
    """See the module; the messages are described in /docs and docs/."""
    state = cast(State, socket.app.state.headwater)
    frames = cast(Frames, socket.app.state.frames)
    alert_frames = cast(AlertFrames, socket.app.state.alert_frames)
    await socket.accept()
    if not (
        state.access.opens(bearer(socket.headers.get("authorization")))
        or state.access.opens(socket.query_params.get("key"))
    ):
        await refuse(socket, "bad-key", "expected the access key as ?key=KEY; `headwater status` prints it.", BAD_KEY)
        return
    state.status.clients += 1
    try:
        await _serve(Client(socket, state, frames, alert_frames))
    finally:
        state.status.clients -= 1


async def _serve(client: Client) -> None:
    tasks = [asyncio.create_task(client.listen()), asyncio.create_task(client.tell())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Both end before anything else is said: a frame must not follow a refusal.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        await _end(client, task.exception())


async def _end(client: Client, error: BaseException | None) -> None:
    if isinstance(error, BadRequest):
        await refuse(client.socket, "bad-message", str(error), BAD_MESSAGE)
    elif isinstance(error, TimeoutError):
        client.state.meters.evicted.inc()
        log.info("closed a live client that took nothing", seconds=EVICT_S)
    elif error is not None and not isinstance(error, _GONE):
        log.error("a live client failed", exc_info=error)


async def refuse(socket: WebSocket, reason: str, detail: str, code: int) -> None:
    """Says why, then closes; a client that is gone is told nothing."""
    try:
        async with asyncio.timeout(5):
            await socket.send_text(orjson.dumps({"type": "refused", "reason": reason, "detail": detail}).decode())
            await socket.close(code, reason)
    except (TimeoutError, *_GONE):
        return
