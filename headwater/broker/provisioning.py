"""Connections that come with a provisioning key: who is let in, and what becomes of a request."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import orjson
import psycopg
import structlog
from prometheus_client import Counter
from psycopg import Connection

from headwater.broker.asker import Asker
from headwater.broker.connect import Code, Connect, Verdict
from headwater.clock import now_ms
from headwater.model.codec import VERSION
from headwater.model.settings import BrokerSettings
from headwater.registry import keys, provisioning
from headwater.registry.attempts import Attempts
from headwater.registry.credentials import token_sha256
from headwater.registry.provisioning import BAD_REQUEST, MOST_BYTES, Provisioned, Refusal

UNAVAILABLE = Refusal("unavailable", "the registry does not answer; ask again in a moment")
TOO_MANY = Refusal("too-many", "too many failures from this address within a minute; ask again in a minute")
_DEAF = Refusal("no-subscription", f"expected a subscription to {provisioning.RESPONSE}; subscribe before you ask")
_CODES = {UNAVAILABLE: Code.SERVER_UNAVAILABLE, TOO_MANY: Code.CONNECTION_RATE_EXCEEDED}
_DONE = Counter("headwater_broker_provisioning", "Provisioning requests, and keys that let nobody in", ["outcome"])
_log = structlog.get_logger()
_Outcome = TypeVar("_Outcome")


class Provisioning:
    """Answers to whoever is not registered yet.

    A connection with a provisioning key may publish requests and read their answers, and nothing else. Each request is
    judged by the key anew. While PostgreSQL is away (`healthy` says whether it answered the last time) everybody is
    asked to come again.
    """

    def __init__(self, settings: BrokerSettings, healthy: Callable[[], bool]) -> None:
        self.kept = 0
        """Requests that went no further: HiveMQ counts them as dropped."""
        self._keeping = threading.Lock()
        self._open = settings.unknown_devices == "claim"
        self._healthy = healthy
        self._attempts = Attempts()
        self._asker = Asker(settings.postgres.get_secret_value())

    def judge(self, connect: Connect) -> Verdict:
        """The answer to a CONNECT of the user `headwater.registry.provisioning.USER`."""
        if not self._open:
            text = "unknown devices are refused here (HEADWATER_UNKNOWN_DEVICES); have the device registered"
            return Verdict(Code.NOT_AUTHORIZED, text)
        digest = token_sha256(connect.password)
        refusal = self._ask(connect.address, lambda conn: provisioning.of_key(keys.find(conn, digest)))
        if refusal is None:
            return Verdict(Code.SUCCESS, "", [provisioning.REQUEST], [provisioning.RESPONSE], key_sha256=digest)
        _DONE.labels(refusal.reason).inc()
        return Verdict(_CODES.get(refusal, Code.BAD_USER_NAME_OR_PASSWORD), refusal.detail)

    def answer(self, key_sha256: str, payload: bytes, address: str, listens: bool) -> tuple[Refusal | None, bytes]:
        """Why the device of a request is not registered, and what to tell it (JSON).

        A client that does not listen (`listens`) is given no token, as it would never know it.
        """
        outcome = self._ask(address, lambda conn: _provision(conn, key_sha256, payload, listens))
        if isinstance(outcome, Refusal):
            _DONE.labels(outcome.reason).inc()
            _log.info("not provisioned", address=address, reason=outcome.reason, why=outcome.detail)
            return outcome, _told("refused", outcome._asdict())
        _DONE.labels("provisioned" if outcome.made else "repeated").inc()
        _log.info("provisioned", address=address, tenant=outcome.tenant, device=outcome.device, made=outcome.made)
        return None, _told("provisioned", outcome._asdict())

    def keep(self) -> None:
        """Counts a request that goes no further, before HiveMQ does."""
        with self._keeping:
            self.kept += 1

    def close(self) -> None:
        """Ends the connection to PostgreSQL."""
        self._asker.close()

    def _ask(self, address: str, question: Callable[[Connection[Any]], _Outcome]) -> _Outcome | Refusal:
        if self._attempts.exhausted(address):
            return TOO_MANY
        if not self._healthy():
            return UNAVAILABLE
        try:
            outcome = self._asker.ask(question)
        except psycopg.Error as error:
            _log.warning("PostgreSQL did not answer about a provisioning key", error=" ".join(str(error).split()))
            return UNAVAILABLE
        if isinstance(outcome, Refusal):
            self._attempts.failed(address)
        return outcome


def _provision(conn: Connection[Any], key_sha256: str, payload: bytes, listens: bool) -> Provisioned | Refusal:
    if len(payload) > MOST_BYTES:
        return Refusal(BAD_REQUEST, f"expected a request of at most {MOST_BYTES} bytes, got {len(payload)}; shorten it")
    try:
        given = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        return Refusal(BAD_REQUEST, f'expected JSON such as {{"device": "boiler-7"}}, got none: {error}; correct it')
    if not listens and isinstance(given, dict) and "token" not in given:
        return _DEAF
    with conn.transaction():
        return provisioning.provision(conn, key_sha256, given)


def _told(status: str, said: dict[str, Any]) -> bytes:
    return orjson.dumps({"v": VERSION, "sent": now_ms(), "status": status, **said})
