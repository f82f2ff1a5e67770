"""What the tests of the API share: the real process, rows on the log and in the stores, and a live client."""

import base64
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
import redis
from confluent_kafka import Producer
from websockets.sync.client import ClientConnection, connect

from headwater.model import codec
from headwater.model.pack import PULSE_TENANT, Aggregate, DeadLetter
from headwater.model.settings import Settings
from headwater.model.stores import devices_key, latest_key
from headwater.model.topics import DEAD_LETTER, PROCESSED
from headwater.stack.migrate import apply
from headwater.stack.ports import free_port
from headwater.stack.topics import create_all

KEY = "a-key-of-the-tests"
HEADERS = {"Authorization": f"Bearer {KEY}"}
PATIENT = (
    "-c",
    "import functools, sys, uvicorn, api.__main__ as main, api.ws.live as live;"
    " live.EVICT_S = 600; main._GIVE_UP_MS = 600_000;"
    " uvicorn.Config = functools.partial(uvicorn.Config, ws_ping_interval=None); sys.exit(main.main())",
)
"""The API, which keeps a client that takes nothing for ten minutes and not for half a one."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def this_pane() -> int:
    return now_ms() // 10_000 * 10_000


def row(tenant: str, device: str, metric: str = "temperature", count: int = 1, **given: Any) -> Aggregate:
    """A row of the pane that is under way, unless it says otherwise."""
    pane, last = given.pop("pane", this_pane()), given.pop("last", 20.0)
    fields = {
        "v": 1,
        "generation": 1,
        "sum": count * last,
        "sum_sq": count * last * last,
        "min": last,
        "max": last,
        "first_ms": pane,
        "last_ms": pane + count,
        "last": last,
        "as_of": now_ms(),
        "received": now_ms(),
    }
    return Aggregate(tenant=tenant, device=device, metric=metric, pane=pane, count=count, **{**fields, **given})


def eventually(what: Callable[[], Any], patience_s: float = 90.0) -> Any:
    """The first true answer of `what`; its last answer is in the failure if none comes in time."""
    until = time.monotonic() + patience_s
    while True:
        answer = what()
        if answer:
            return answer
        assert time.monotonic() < until, f"still {answer!r} after {patience_s} s"
        time.sleep(0.05)


class Log:
    """Writes as the aggregation job and the doors do."""

    def __init__(self, bootstrap: str) -> None:
        create_all(Settings(_env_file=None, kafka=bootstrap))
        self.producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})

    def rows(self, *rows: Aggregate) -> None:
        for each in rows:
            key = json.dumps({"tenant": each.tenant, "device": each.device, "metric": each.metric, "pane": each.pane})
            self.producer.produce(PROCESSED.name, codec.encode(each), key, timestamp=each.as_of)
        assert self.producer.flush(120) == 0

    def raw(self, value: bytes | None) -> None:
        self.producer.produce(PROCESSED.name, value, b"odd", timestamp=now_ms())
        assert self.producer.flush(120) == 0

    def beats(self, at: int, partitions: int = 4) -> None:
        names = [f"raw-sensor-data-{partition}" for partition in range(partitions)]
        self.rows(*(row(PULSE_TENANT, name, "beat", as_of=at, count=at % 10_000 + 1) for name in names))

    def dead_letter(self, reason: str) -> None:
        letter = DeadLetter(
            v=1,
            reason=reason,
            detail="of a test",
            topic="v1/x/y/telemetry",
            tenant="x",
            device="y",
            door="mqtt",
            received=now_ms(),
            payload=base64.b64encode(b"{").decode(),
        )
        self.producer.produce(DEAD_LETTER.name, codec.encode(letter), b"")
        assert self.producer.flush(120) == 0


class Stores:
    """Writes as the sinks and the registry do."""

    def __init__(self, postgres: str, valkey: str) -> None:
        self.postgres = self._database(postgres)
        self.valkey = valkey
        self.client = redis.Redis.from_url(valkey, protocol=2)

    @staticmethod
    def _database(server: str) -> str:
        name = f"api_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"create database {name}")
        url = urlsplit(server)._replace(path=f"/{name}").geturl()
        apply(url)
        return url

    def execute(self, statement: str, *values: Any) -> None:
        with psycopg.connect(self.postgres, autocommit=True) as connection:
            connection.execute(statement, values)

    def register(self, tenant: str, *devices: str, kind: str = "boiler") -> None:
        for device in devices:
            self.execute("insert into device (tenant, device, kind) values (%s, %s, %s)", tenant, device, kind)

    def latest(self, *rows: Aggregate) -> None:
        for each in rows:
            self.client.hset(latest_key(each.tenant, each.device), each.metric, codec.encode(each))
            self.client.sadd(devices_key(each.tenant), each.device)

    def panes(self, *rows: Aggregate, table: str = "aggregate_10s") -> None:
        level = {"aggregate_10s": "10s", "rollup_1m": "1m", "rollup_1h": "1h", "rollup_1d": "1d"}[table]
        time_column, more = ("pane", ("generation", "dup")) if level == "10s" else ("bucket", ())
        same = ("count", "sum", "sum_sq", "min", "max", "first_ms", "last_ms", "last", "as_of", "received", *more)
        names = ", ".join(("tenant", "device", "metric", time_column, *same))
        marks = ", ".join(["%s"] * 3 + ["to_timestamp(%s / 1000.0)"] + ["%s"] * len(same))
        for each in rows:
            self.execute("select make_partition(%s, to_timestamp(%s / 1000.0))", level, each.pane)
            values = [getattr(each, name) for name in same]
            self.execute(
                f"insert into {table} ({names}) values ({marks})",
                each.tenant,
                each.device,
                each.metric,
                each.pane,
                *values,
            )


def patiently(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer, asked for again while a store is slow, which the API answers with a 503 after some seconds."""
    until = time.monotonic() + 90
    while (answer := ask()).status_code == 503 and time.monotonic() < until:
        time.sleep(0.3)
    return answer


@dataclass
class Api:
    """A running API process."""

    url: str
    process: subprocess.Popen[bytes]
    output: Path

    def get(self, path: str, **query: Any) -> httpx.Response:
        return httpx.get(self.url + path, params=query or None, headers=HEADERS, timeout=90)

    def json(self, path: str, **query: Any) -> Any:
        answer = patiently(lambda: self.get(path, **query))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def send(self, method: str, path: str, body: Any = None, **query: Any) -> httpx.Response:
        return httpx.request(method, self.url + path, params=query or None, json=body, headers=HEADERS, timeout=90)

    def away(self) -> dict[str, str]:
        """What is not ready, and why."""
        parts = httpx.get(f"{self.url}/readyz", timeout=90).json()["parts"]
        return {name: said for name, said in parts.items() if said != "ok"}

    @contextmanager
    def live(self, key: str | None = KEY, **more: Any) -> Iterator["Live"]:
        query = f"?key={key}" if key is not None else ""
        given = {"compression": None, "open_timeout": 90, "ping_interval": None, **more}
        with connect(f"{self.url.replace('http', 'ws', 1)}/v1/live{query}", **given) as connection:
            yield Live(connection)


@contextmanager
def served(
    folder: Path,
    kafka: str,
    postgres: str,
    valkey: str,
    ready: bool = True,
    program: tuple[str, ...] = ("-m", "api"),
    **more: Any,
) -> Iterator[Api]:
    """`python -m api` with these servers, stopped by SIGTERM at the end; it must then end by itself, with 0."""
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HEADWATER_")},
        "HEADWATER_STATE": str(folder),
        "HEADWATER_KAFKA": kafka,
        "HEADWATER_POSTGRES": postgres,
        "HEADWATER_VALKEY": valkey,
        "HEADWATER_ACCESS_KEY": KEY,
        "HEADWATER_API_PORT": str(port),
        **{f"HEADWATER_{name.upper()}": str(value) for name, value in more.items()},
    }
    output = folder / f"api-{port}.log"
    with output.open("ab") as log:
        process = subprocess.Popen([sys.executable, *program], env=environment, stdout=log, stderr=log)
    api = Api(f"http://127.0.0.1:{port}", process, output)
    try:
        eventually(lambda: process.poll() is not None or _answers(api))
        assert process.poll() is None, output.read_text()
        if ready:
            _wait_ready(api)
        else:
            eventually(lambda: "postgres" not in api.away())
        yield api
    finally:
        process.terminate()
        try:
            code = process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert code == 0, output.read_text()[-3_000:]
    assert KEY not in output.read_text(), "the key is in the logs"


def _wait_ready(api: Api) -> None:
    last: list[dict[str, str]] = []

    def nothing_away() -> bool:
        last[:] = [api.away()]
        return last == [{}]

    try:
        eventually(nothing_away)
    except AssertionError:
        pytest.fail(f"not ready: {last}\n{api.output.read_text()[-3_000:]}")


def _answers(api: Api) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{api.url}/healthz", timeout=5).status_code == 200
    return False


@dataclass
class Live:
    """A live client that keeps what it is told, and fails if a row comes twice or backwards."""

    connection: ClientConnection
    rows: dict[tuple[str, str, int], int] = field(default_factory=dict)
    cursor: str | None = None
    frames: list[dict[str, Any]] = field(default_factory=list)

    def subscribe(self, tenant: str, devices: list[str] | None = None, cursor: str | None = None) -> "Live":
        self.say({"type": "subscribe", "tenant": tenant, "devices": devices, "cursor": cursor})
        return self

    def say(self, message: Any) -> None:
        self.connection.send(json.dumps(message))

    def hear(self, *kinds: str, patience_s: float = 90.0) -> dict[str, Any]:
        """The next frame of these kinds; rows and snapshots on the way are taken in."""
        until = time.monotonic() + patience_s
        while True:
            frame = json.loads(self.connection.recv(max(0.01, until - time.monotonic())))
            self._take(frame)
            if frame["type"] in kinds:
                return frame

    def until(self, done: Callable[["Live"], bool]) -> "Live":
        """Hears on until `done`."""
        while not done(self):
            self.hear("rows", "snapshot")
        return self

    def _take(self, frame: dict[str, Any]) -> None:
        self.frames.append(frame)
        if frame["type"] not in ("rows", "snapshot"):
            return
        self.cursor = frame["cursor"]
        columns = frame["columns"]
        if frame["type"] == "snapshot":
            self.rows = {}
        for device, metric, pane, count in zip(
            columns["device"], columns["metric"], columns["pane"], columns["count"], strict=True
        ):
            assert count > self.rows.get((device, metric, pane), 0), "a row came twice or backwards"
            self.rows[device, metric, pane] = count
