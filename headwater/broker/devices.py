"""Which tokens are good: the credentials of PostgreSQL, kept in memory and on disk so that devices connect without it.

The table is read again when PostgreSQL tells of a change, when a token expires, and every two seconds in any case, less
often if it is large (a notification does not come through every pooler). A device that is not known yet is looked up at
once. When PostgreSQL is down, what was known stays good until it expires, also after a restart of the broker.
"""

from __future__ import annotations

import hmac
import os
import threading
import time
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import structlog

from headwater import registry
from headwater.broker.asker import Asker, connect
from headwater.clock import now_ms
from headwater.registry.credentials import CHANNEL

REFRESH_S = 2.0
_SLICE_S = 0.5
_SEND_AWAY_AGAIN_S = 5.0
_log = structlog.get_logger()
Key = tuple[str, str]
Used = tuple[str, str, str]
"""A tenant, its device, and the SHA-256 of one of its tokens."""
_Known = dict[Key, list[registry.Credential]]


class Answer(Enum):
    """What is known of a token."""

    GOOD = "good"
    WRONG = "wrong"
    UNKNOWABLE = "unknowable"


class _Saved(msgspec.Struct, array_like=True):
    """A token in the file. Files of earlier releases have no expiry."""

    tenant: str
    device: str
    token_sha256: str
    expires_ms: int | None = None


class DeviceTable:
    """Good tokens by (tenant, device), refreshed by a thread of its own.

    `on_withdrawn` is told of tokens that are no longer good: revoked, expired, replaced, or their device is gone. It is
    told again for some seconds, because a CONNECT may have been let in just before, and not be a connection yet.
    """

    def __init__(self, postgres_url: str, file: Path, on_withdrawn: Callable[[set[Used]], None]) -> None:
        self._url = postgres_url
        self._file = file
        self._on_withdrawn = on_withdrawn
        self._known = _read(file)
        self._looked_up: dict[Used, int | None] = {}
        self._good: set[Used] = set(_good(self._known))
        self._next_end_ms = _next_end(self._known)
        self._leaving: dict[Used, float] = {}
        self._healthy = False
        self._asker = Asker(postgres_url)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep_fresh, name="device-table", daemon=True)

    def start(self) -> None:
        """Begins to read the table again and again."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread and the connections."""
        self._stopping.set()
        self._thread.join(5)
        self._asker.close()

    def healthy(self) -> bool:
        """Whether PostgreSQL answered the last time."""
        return self._healthy

    def check(self, tenant: str, device: str, token: str) -> Answer:
        """Whether `token` is the device's. `UNKNOWABLE` if it is not known here and PostgreSQL cannot be asked."""
        digest = registry.token_sha256(token)
        known = self._known.get((tenant, device))
        if known is not None and _matches(known, digest):
            return Answer.GOOD
        try:
            if not self._healthy:
                raise psycopg.OperationalError("PostgreSQL did not answer the last time")
            found = self._asker.ask(lambda conn: registry.good(conn, tenant, device))
        except psycopg.Error:
            return Answer.WRONG if known is not None else Answer.UNKNOWABLE
        match = _matches(found, digest)
        if match is None:
            return Answer.WRONG
        self._looked_up[tenant, device, digest] = match.expires_ms
        return Answer.GOOD

    def _keep_fresh(self) -> None:
        conn: psycopg.Connection[Any] | None = None
        while not self._stopping.is_set():
            try:
                if conn is None or conn.closed:
                    conn = connect(self._url)
                    conn.execute(f"listen {CHANNEL}")
                begun = time.monotonic()
                looked_up = set(self._looked_up)
                self._take(registry.all_good(conn), looked_up)
                took_s = time.monotonic() - begun
                if not self._healthy:
                    _log.info("device table read", devices=len(self._known))
                self._healthy = True
                self._wait(conn, took_s)
            except psycopg.Error as error:
                if self._healthy or conn is None:
                    _log.warning("PostgreSQL cannot be asked, known devices stay known", error=str(error).strip())
                self._healthy = False
                if conn is not None:
                    conn.close()
                self._withdraw()
                self._stopping.wait(_SLICE_S)
        if conn is not None:
            conn.close()

    def _wait(self, conn: psycopg.Connection[Any], took_s: float) -> None:
        """Until something has changed, or it is time to look in any case. Tokens expire meanwhile.

        To read a large table takes long (`took_s`), and CONNECTs wait meanwhile for the same interpreter: it is read
        unasked for a fiftieth of the time at most, and many changes at once are one.
        """
        until = time.monotonic() + max(REFRESH_S, 50 * took_s)
        while not self._stopping.is_set() and (left := until - time.monotonic()) > 0:
            if list(conn.notifies(timeout=min(left, _SLICE_S), stop_after=1)):
                self._stopping.wait(min(took_s, _SLICE_S))
                while list(conn.notifies(timeout=0)):
                    pass
                return
            self._withdraw()

    def _take(self, fresh: _Known, looked_up: set[Used]) -> None:
        """Replaces what is known. `looked_up` are those let in by a look-up before `fresh` was read."""
        self._good |= looked_up
        for used in looked_up:
            self._looked_up.pop(used, None)
        changed = fresh != self._known
        if changed:
            self._known = fresh
            _write(self._file, fresh)
        self._withdraw(changed or bool(looked_up))

    def _withdraw(self, changed: bool = False) -> None:
        """Tells of tokens that were good until now and are not, and again of those that left a moment ago."""
        now = time.monotonic()
        if changed or (self._next_end_ms is not None and now_ms() >= self._next_end_ms):
            good = set(_good(self._known))
            self._leaving |= dict.fromkeys(self._good - good, now + _SEND_AWAY_AGAIN_S)
            self._good, self._next_end_ms = good, _next_end(self._known)
        self._leaving = {used: until for used, until in self._leaving.items() if until > now and used not in self._good}
        if self._leaving:
            self._on_withdrawn(set(self._leaving))


def _is_good(one: registry.Credential) -> bool:
    return one.expires_ms is None or one.expires_ms > now_ms()


def _good(known: _Known) -> Iterable[Used]:
    for (tenant, device), credentials in known.items():
        for one in credentials:
            if _is_good(one):
                yield tenant, device, one.token_sha256


def _next_end(known: _Known) -> int | None:
    ends = (one.expires_ms for credentials in known.values() for one in credentials if _is_good(one))
    return min((end for end in ends if end is not None), default=None)


def _matches(credentials: list[registry.Credential], digest: str) -> registry.Credential | None:
    found = (one for one in credentials if hmac.compare_digest(one.token_sha256, digest) and _is_good(one))
    return next(found, None)


def _read(file: Path) -> _Known:
    try:
        rows = msgspec.json.decode(file.read_bytes(), type=list[_Saved])
    except FileNotFoundError:
        return {}
    except msgspec.DecodeError as error:
        _log.warning("the saved device table cannot be read, waiting for PostgreSQL", file=str(file), error=str(error))
        return {}
    known: _Known = {}
    for row in rows:
        known.setdefault((row.tenant, row.device), []).append(registry.Credential(row.token_sha256, row.expires_ms))
    return known


def _write(file: Path, known: _Known) -> None:
    """Replaces the file whole, readable by the owner alone."""
    rows = [_Saved(tenant, device, *one) for (tenant, device), credentials in known.items() for one in credentials]
    fresh = file.with_suffix(".new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(msgspec.json.encode(rows))
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
