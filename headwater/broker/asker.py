"""Questions to PostgreSQL from the threads of the broker, which must not wait for it for long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg

_OPTIONS = "-c statement_timeout=2000"
_Answer = TypeVar("_Answer")


def connect(url: str) -> psycopg.Connection[Any]:
    """A connection (autocommit) that gives up within some seconds."""
    return psycopg.connect(url, autocommit=True, connect_timeout=2, options=_OPTIONS, tcp_user_timeout=3000)


class Asker:
    """One connection for all threads, one question at a time; opened at the first one, and anew after an error."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._conn: psycopg.Connection[Any] | None = None

    def ask(self, question: Callable[[psycopg.Connection[Any]], _Answer]) -> _Answer:
        """What `question` answers. Raises what it raises, and `psycopg.Error` while PostgreSQL is away."""
        with self._lock:
            try:
                if self._conn is None or self._conn.closed:
                    self._conn = connect(self._url)
                return question(self._conn)
            except psycopg.Error:
                if self._conn is not None:
                    self._conn.close()
                raise

    def close(self) -> None:
        """Ends the connection."""
        with self._lock:
            if self._conn is not None:
                self._conn.close()
