"""What the API changes in PostgreSQL: one transaction a call, off the loop. Rare, so each has its own connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg import Connection
from pydantic import SecretStr

from headwater.model.errors import BadRequest, StackError

_Answer = TypeVar("_Answer")

_WAIT_S = 3


class Desk:
    """Where doors hand in what they want done with the registry, rules and alerts; reads of state are `Postgres`'s."""

    def __init__(self, url: SecretStr) -> None:
        self._url = url

    async def within(self, work: Callable[[Connection[Any]], _Answer]) -> _Answer:
        """What `work` gives, in one transaction, which any error undoes.

        Raises what `work` raises, and `StackError` while PostgreSQL is away.
        """
        return await asyncio.to_thread(self._run, work)

    def _run(self, work: Callable[[Connection[Any]], _Answer]) -> _Answer:
        try:
            with psycopg.connect(
                self._url.get_secret_value(),
                connect_timeout=_WAIT_S,
                application_name="headwater-api",
                options="-c statement_timeout=30s",
            ) as conn:
                return work(conn)
        except psycopg.DataError as error:
            raise BadRequest(f"expected text that PostgreSQL can hold, got one that it cannot: {error}") from error
        except psycopg.OperationalError as error:
            said = " ".join(str(error).split())[:200]
            raise StackError(f"PostgreSQL is away: {said}.", "`headwater status` shows what runs.") from error
