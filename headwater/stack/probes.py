"""Readiness as its users see it: a probe asks a server what a client would ask, not whether a process exists."""

from __future__ import annotations

import base64
import json
import re
import socket
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from headwater.model.errors import StackError
from headwater.stack.program import Probe

TIMEOUT_S = 2.0


def nothing() -> None:
    """For programs that serve nobody: being alive, which the supervisor knows, is all there is to ask."""


def heartbeat(file: Path, within_s: float = 20.0) -> Probe:
    """The process has said within so many seconds that it gets its work done."""

    def probe() -> None:
        try:
            age = time.time() - file.stat().st_mtime
        except FileNotFoundError:
            raise StackError("has not begun to work yet: what it depends on may be away") from None
        if age > within_s:
            raise StackError(f"expected a sign of life within {within_s:.0f} s, the last was {age:.0f} s ago")

    return probe


def all_of(*probes: Probe) -> Probe:
    """One process with several works answers for each."""

    def probe() -> None:
        for each in probes:
            each()

    return probe


def tcp(host: str, port: int) -> Probe:
    """Somebody listens."""

    def probe() -> None:
        socket.create_connection((host, port), TIMEOUT_S).close()

    return probe


def kafka(bootstrap: str) -> Probe:
    """The broker answers with its metadata."""

    def probe() -> None:
        from confluent_kafka.admin import AdminClient

        # A closed port is told apart first: librdkafka would wait for its whole time-out.
        host, _, port = bootstrap.split(",")[0].rpartition(":")
        tcp(host, int(port))()
        AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(timeout=TIMEOUT_S)

    return probe


def postgres(url: str) -> Probe:
    """The server lets us in and answers."""

    def probe() -> None:
        import psycopg

        with psycopg.connect(url, connect_timeout=int(TIMEOUT_S)) as connection:
            connection.execute("select 1")

    return probe


def valkey(url: str) -> Probe:
    """The server lets us in and has loaded its data."""

    def probe() -> None:
        import redis

        client = redis.Redis.from_url(url, protocol=2, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
        try:
            client.ping()
        finally:
            client.close()

    return probe


def clickhouse(url: str) -> Probe:
    """The server lets us in and answers from our database."""

    def probe() -> None:
        parts = urlsplit(url)
        address = f"{parts.scheme}://{parts.hostname}:{parts.port}/"
        login = base64.b64encode(f"{unquote(parts.username or 'default')}:{unquote(parts.password or '')}".encode())
        headers = {"Authorization": f"Basic {login.decode()}"}
        query = urlencode({"query": "select 1", "database": unquote(parts.path.strip("/")) or "default"})
        request = urllib.request.Request(f"{address}?{query}", headers=headers)  # noqa: S310  # http or https
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            answer.read()

    return probe


def http_json(url: str, headers: dict[str, str] | None = None, timeout_s: float = TIMEOUT_S) -> Any:
    """The JSON that `url` answers a GET with. Raises on any status but 2xx."""
    request = urllib.request.Request(url, headers=headers or {})  # noqa: S310  # our own http addresses
    with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
        return json.loads(answer.read() or b"null")


def http(url: str) -> Probe:
    """A GET is answered with 2xx."""

    def probe() -> None:
        request = urllib.request.Request(url)  # noqa: S310  # our own http addresses
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            answer.read()

    return probe


def bridge(url: str, broker: str = "") -> Probe:
    """The bridge's metrics answer at `url`; those of the broker, if it is ours, say that publishers are let in.

    The broker opens only when the bridge has subscribed: until then it would acknowledge what nobody gets.
    """

    def probe() -> None:
        http(url)()
        if broker and metric(broker, "headwater_broker_open") != 1:
            raise StackError("the broker does not let publishers in yet")

    return probe


def metric(url: str, name: str) -> float:
    """A Prometheus metric without labels. Raises `StackError` if the page at `url` does not have it."""
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310  # our own http address
        found = re.search(rf"^{name} (\S+)", answer.read().decode(), re.M)
    if not found:
        raise StackError(f"{url} has no metric {name}")
    return float(found[1])


def flink_jobmanager(url: str) -> Probe:
    """The REST server of the cluster answers."""

    def probe() -> None:
        http_json(f"{url}/overview")

    return probe


def flink_taskmanager(url: str) -> Probe:
    """At least one TaskManager has registered with its slots."""

    def probe() -> None:
        overview = http_json(f"{url}/overview")
        if not overview["taskmanagers"]:
            raise StackError("no TaskManager has registered yet")

    return probe
