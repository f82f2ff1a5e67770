"""What a live row costs: our fan-out against the obvious one, same rows, same frames, same clients, in one run.

    python -m bench.fanout [--clients 200] [--devices 200] [--ticks 40]

The obvious server makes each client's frame by itself, with `json.dumps` or with `orjson`. First every client's end
state is compared with the rows themselves, for all three servers; only then is anything measured. CPU seconds are those
of the serving process alone. Deliveries are rows that reached clients.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import uvicorn
from fastapi import FastAPI, WebSocket
from websockets.asyncio.client import connect

from api.__main__ import listen
from api.state.live import LiveLog
from api.state.rows import Cells, Change, Subscription
from api.state.state import State, build
from api.ws import live as door
from api.ws import messages
from api.ws.frames import Frames
from headwater.model.pack import Aggregate
from headwater.model.settings import ApiSettings

KEY = "bench"
METRICS = ("temperature", "humidity", "pressure", "power")
T0 = 1_790_000_000_000
SERVERS = ("ours", "json", "orjson")


def rows_of(tick: int, devices: int) -> list[Aggregate]:
    """The same rows for every server: each series gains a reading each tick, a new pane every 40."""
    dice = random.Random(tick)
    pane, count, now = T0 + tick // 40 * 10_000, tick % 40 + 1, time.time_ns() // 1_000_000
    return [
        Aggregate(
            v=1,
            tenant="demo",
            device=f"sim-{number:04}",
            metric=metric,
            pane=pane,
            generation=1,
            count=count,
            sum=dice.random() * 1_000,
            sum_sq=1.0,
            min=dice.random(),
            max=20 + dice.random(),
            first_ms=pane,
            last_ms=pane + count * 250,
            last=round(20 + dice.random(), 2),
            as_of=now,
            received=now,
        )
        for number in range(devices)
        for metric in METRICS
    ]


# ------------------------------------------------------------------ the servers


async def drive(live: LiveLog, end_tick: Callable[[list[Change]], None], devices: int, ticks: int) -> None:
    """Folds a tick's rows every 250 ms, as the feed does."""
    offset = 0
    for tick in range(ticks):
        began = time.monotonic()
        changes = []
        for row in rows_of(tick, devices):
            changes.append(live.fold(0, offset, row))
            offset += 1
        live.mark()
        end_tick([change for change in changes if change])
        await asyncio.sleep(max(0.0, 0.25 - (time.monotonic() - began)))


def ours(state: State) -> tuple[FastAPI, Callable[[list[Change]], None]]:
    """The real door on the real core; only the log is missing."""
    app = FastAPI()
    app.state.headwater = state
    frames = app.state.frames = Frames(state.live)
    state.feed.on_tick.append(lambda *_: frames.forget())
    state.feed.ready = True
    app.include_router(door.router)
    return app, state.feed.end_tick


def obvious(state: State, dumps: Callable[[Any], str]) -> tuple[FastAPI, Callable[[list[Change]], None]]:
    """What one writes first: each client waits for the tick, picks its rows, encodes them and sends them."""
    app = FastAPI()
    app.state.headwater = state

    def frame(kind: str, wants: Subscription, seq: int) -> str:
        changes = state.live.newest(wants) if kind == "snapshot" else state.live.since(wants, seq) or []
        columns = {name: [getattr(change.cells, name) for change in changes] for name in Cells._fields}
        now = time.time_ns() // 1_000_000
        return dumps({"type": kind, "cursor": state.live.cursor, "sent": now, "log_time": None, "columns": columns})

    @app.websocket("/v1/live")
    async def serve(socket: WebSocket) -> None:
        await socket.accept()
        wants = messages.read(await socket.receive_text()).subscription
        seq = state.live.seq
        await socket.send_text(frame("snapshot", wants, 0))
        while True:
            turn = state.feed.turn()
            if (now := state.live.seq) > seq:
                text, seq = frame("rows", wants, seq), now
                await socket.send_text(text)
            await turn.wait()

    return app, state.feed.end_tick


def serve(kind: str, port: int, devices: int, ticks: int) -> None:
    """The serving process: starts its rows when asked, tells its CPU time."""
    state = build(ApiSettings(_env_file=None, access_key=KEY, partitions=1, kafka="127.0.0.1:1"))
    state.live.begin({0: 0})
    makers: dict[str, Callable[[], tuple[FastAPI, Callable[[list[Change]], None]]]] = {
        "ours": lambda: ours(state),
        "json": lambda: obvious(state, json.dumps),
        "orjson": lambda: obvious(state, lambda frame: orjson.dumps(frame).decode()),
    }
    app, end_tick = makers[kind]()
    running = set()

    @app.post("/go")
    async def go() -> float:
        running.add(asyncio.create_task(drive(state.live, end_tick, devices, ticks)))
        return time.process_time()

    @app.get("/cpu")
    async def cpu() -> float:
        return time.process_time()

    config = uvicorn.Config(app, loop="uvloop", ws="websockets-sansio", ws_per_message_deflate=False, log_level="error")
    uvicorn.Server(config).run(sockets=[listen("127.0.0.1", port)])


# ------------------------------------------------------------------ the clients


@dataclass
class Tally:
    """What one client got."""

    frames: int = 0
    deliveries: int = 0
    size: int = 0
    delays: int = 0


async def client(url: str, devices: list[str] | None, last: str, ready: asyncio.Semaphore, keep: dict | None) -> Tally:
    """Counts rows until the one with the last cursor; keeps them if asked to."""
    tally = Tally()
    async with connect(f"{url}/v1/live?key={KEY}", compression=None, max_size=None, max_queue=4) as socket:
        await socket.send(json.dumps({"type": "subscribe", "tenant": "demo", "devices": devices, "cursor": None}))
        async for text in socket:
            if text.startswith('{"type":"status"'):
                continue
            frame = orjson.loads(text)
            columns = frame["columns"]
            if frame["type"] == "snapshot":
                ready.release()
            tally.frames += 1
            tally.deliveries += len(columns["device"])
            tally.size += len(text)
            tally.delays += sum(frame["sent"] - received for received in columns["received"])
            if keep is not None:
                names = [name for name in Cells._fields if name not in ("received", "as_of")]
                for row in zip(*(columns[name] for name in names), strict=True):
                    keep[row[:3]] = row
            if frame["cursor"] == last:
                return tally
    raise ConnectionError("the server closed before its last row")


async def trial(port: int, wants: list[list[str] | None], devices: int, ticks: int, keep: bool) -> tuple:
    """All clients against the server at `port`: tallies, kept rows, wall and CPU seconds."""
    last, ready = f"0:{ticks * devices * len(METRICS)}", asyncio.Semaphore(0)
    kept: list[dict | None] = [{} if keep else None for _ in wants]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
        tasks = [
            asyncio.create_task(client(f"ws://127.0.0.1:{port}", want, last, ready, kept[number]))
            for number, want in enumerate(wants)
        ]
        for _ in wants:
            await ready.acquire()
        began, cpu = time.monotonic(), (await http.post("/go")).json()
        tallies = await asyncio.gather(*tasks)
        wall = time.monotonic() - began
        cpu = (await http.get("/cpu")).json() - cpu
    return tallies, kept, wall, cpu


def measure(kind: str, port: int, wants: list[list[str] | None], devices: int, ticks: int, keep: bool = False) -> tuple:
    """One server process, one trial."""
    command = [sys.executable, "-m", "bench.fanout", "--serve", kind, "--port", str(port)]
    command += ["--devices", str(devices), "--ticks", str(ticks)]
    with subprocess.Popen(command) as process:
        try:
            for _ in range(200):
                try:
                    httpx.get(f"http://127.0.0.1:{port}/cpu")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            return asyncio.run(trial(port, wants, devices, ticks, keep))
        finally:
            process.kill()


def check(port: int) -> None:
    """Every client of every server ends with the very rows of the log. Raises `SystemExit` otherwise."""
    devices, ticks = 20, 45
    wants: list[list[str] | None] = [None, ["sim-0003"], [f"sim-{n:04}" for n in range(0, 20, 3)]]
    names = [name for name in Cells._fields if name not in ("received", "as_of")]
    for kind in SERVERS:
        _, kept, _, _ = measure(kind, port, wants, devices, ticks, keep=True)
        for want, got in zip(wants, kept, strict=True):
            truth = {}
            for tick in range(ticks):
                for row in rows_of(tick, devices):
                    if want is None or row.device in want:
                        cells = {**{name: getattr(row, name, None) for name in names}, "mean": row.sum / row.count}
                        truth[row.device, row.metric, row.pane] = tuple(cells[name] for name in names)
            if got != truth:
                raise SystemExit(f"{kind}: a client that wanted {want} ended with other rows than the log's")
    print(f"equal: {', '.join(SERVERS)} left each of {len(wants)} kinds of clients with the rows of the log")


def main() -> None:
    """Checks, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--devices", type=int, default=200)
    parser.add_argument("--ticks", type=int, default=40)
    parser.add_argument("--port", type=int, default=18_765)
    parser.add_argument("--serve", choices=SERVERS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.port, given.devices, given.ticks)
        return
    check(given.port)
    dice = random.Random(7)
    names = [f"sim-{number:04}" for number in range(given.devices)]
    scenes: dict[str, list[list[str] | None]] = {
        "whole fleet": [None] * given.clients,
        "20 devices each": [dice.sample(names, min(20, len(names))) for _ in range(given.clients)],
        "one device each": [[dice.choice(names)] for _ in range(given.clients)],
    }
    print(f"{given.clients} clients, {given.devices * len(METRICS)} rows a tick of 250 ms, {given.ticks} ticks\n")
    print("| clients want | server | rows delivered | MB | wall s | CPU s | rows per CPU s | ours is |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for scene, wants in scenes.items():
        best = 0.0
        for kind in SERVERS:
            tallies, _, wall, cpu = measure(kind, given.port, wants, given.devices, given.ticks)
            rows, size = sum(t.deliveries for t in tallies), sum(t.size for t in tallies) / 1e6
            rate = rows / cpu
            best = best or rate
            ratio = "" if kind == "ours" else f"{best / rate:.1f} x"
            print(
                f"| {scene} | {kind} | {rows:,} | {size:,.0f} | {wall:.1f} | {cpu:.2f} | {rate:,.0f} | {ratio} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
