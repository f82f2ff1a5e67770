"""Which tokens are good: the device table of PostgreSQL, kept in memory and on disk so that devices connect without it.

The table is read again every two seconds, so a revocation or a new token is known within seconds. A device that is not
known yet is looked up at once. When PostgreSQL is down, what was known stays good, also after a restart of the broker.
"""

from __future__ import annotations

import hmac
import os
import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import structlog

from headwater import registry

REFRESH_S = 2.0
_OPTIONS = "-c statement_timeout=2000"
_log = structlog.get_logger()
Key = tuple[str, str]


class Answer(Enum):
    """What is known of a token."""

    GOOD = "good"
    WRONG = "wrong"
    UNKNOWABLE = "unknowable"


class DeviceTable:
    """Good tokens by (tenant, device), refreshed by a thread of its own."""

    def __init__(self, postgres_url: str, file: Path, on_withdrawn: Callable[[set[Key]], None]) -> None:
        self._url = postgres_url
        self._file = file
        self._on_withdrawn = on_withdrawn
        self._known: dict[Key, str] = _read(file)
        self._looked_up: dict[Key, str] = {}
        self._healthy = False
        self._asking = threading.Lock()
        self._asker: psycopg.Connection[Any] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep_fresh, name="device-table", daemon=True)

    def start(self) -> None:
        """Begins to read the table again and again."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread and the connections."""
        self._stopping.set()
        self._thread.join(5)
        with self._asking:
            if self._asker is not None:
                self._asker.close()

    def check(self, tenant: str, device: str, token: str) -> Answer:
        """Whether `token` is the device's. `UNKNOWABLE` if it is not known here and PostgreSQL cannot be asked."""
        digest = registry.token_sha256(token)
        known = self._known.get((tenant, device))
        if known is not None and hmac.compare_digest(known, digest):
            return Answer.GOOD
        try:
            found = self._ask(tenant, device)
        except psycopg.Error:
            return Answer.WRONG if known is not None else Answer.UNKNOWABLE
        if found is None or found.revoked:
            return Answer.WRONG
        if not hmac.compare_digest(found.token_sha256, digest):
            return Answer.WRONG
        self._looked_up[tenant, device] = digest
        return Answer.GOOD

    def _ask(self, tenant: str, device: str) -> registry.Device | None:
        if not self._healthy:
            raise psycopg.OperationalError("PostgreSQL did not answer the last time")
        with self._asking:
            try:
                if self._asker is None or self._asker.closed:
                    self._asker = self._connect()
                return registry.lookup(self._asker, tenant, device)
            except psycopg.Error:
                if self._asker is not None:
                    self._asker.close()
                raise

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self._url, autocommit=True, connect_timeout=2, options=_OPTIONS, tcp_user_timeout=3000)

    def _keep_fresh(self) -> None:
        conn: psycopg.Connection[Any] | None = None
        while not self._stopping.is_set():
            try:
                conn = conn if conn is not None and not conn.closed else self._connect()
                looked_up = dict(self._looked_up)
                self._take(registry.live_tokens(conn), looked_up)
                if not self._healthy:
                    _log.info("device table read", devices=len(self._known))
                self._healthy = True
            except psycopg.Error as error:
                if self._healthy or conn is None:
                    _log.warning("PostgreSQL cannot be asked, known devices stay known", error=str(error).strip())
                self._healthy = False
                if conn is not None:
                    conn.close()
            self._stopping.wait(REFRESH_S)
        if conn is not None:
            conn.close()

    def _take(self, fresh: dict[Key, str], looked_up: dict[Key, str]) -> None:
        """Replaces what is known. `looked_up` are those let in by a look-up before `fresh` was read."""
        for key in looked_up:
            self._looked_up.pop(key, None)
        before = self._known | looked_up
        if fresh != self._known:
            self._known = fresh
            _write(self._file, fresh)
        withdrawn = {key for key, digest in before.items() if fresh.get(key) != digest}
        if withdrawn:
            self._on_withdrawn(withdrawn)


def _read(file: Path) -> dict[Key, str]:
    try:
        rows = msgspec.json.decode(file.read_bytes(), type=list[tuple[str, str, str]])
    except FileNotFoundError:
        return {}
    except msgspec.DecodeError as error:
        _log.warning("the saved device table cannot be read, waiting for PostgreSQL", file=str(file), error=str(error))
        return {}
    return {(tenant, device): digest for tenant, device, digest in rows}


def _write(file: Path, known: dict[Key, str]) -> None:
    """Replaces the file whole, readable by the owner alone."""
    fresh = file.with_suffix(".new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(msgspec.json.encode([(tenant, device, digest) for (tenant, device), digest in known.items()]))
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
