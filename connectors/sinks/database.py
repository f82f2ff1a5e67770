"""How sinks connect to PostgreSQL."""

from __future__ import annotations

from typing import Any

import psycopg


def connect(url: str, name: str, statement_s: int, *options: str) -> psycopg.Connection[Any]:
    """A connection in autocommit, called `name` in the server, whose statements may take `statement_s` seconds each.

    `options` are further settings of its session, such as `timezone=UTC`. The limits let a dead instance's locks go.
    Raises `psycopg.Error`.
    """
    given = ("idle_in_transaction_session_timeout=15s", f"statement_timeout={statement_s}s", *options)
    return psycopg.connect(
        url,
        autocommit=True,
        connect_timeout=5,
        options=" ".join(f"-c {one}" for one in given),
        application_name=name,
        cursor_factory=psycopg.RawCursor,
        keepalives_idle=10,
    )
