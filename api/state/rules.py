"""Rules of a tenant: read, and the one thing that the API writes. Rare, so each call has a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg import Connection
from pydantic import SecretStr

from headwater import rule_store
from headwater.model.errors import StackError
from headwater.model.rule import Draft, Rule

_Answer = TypeVar("_Answer")

_WAIT_S = 3


class RuleDesk:
    """Rules in PostgreSQL. Every method raises `StackError` while it is away."""

    def __init__(self, url: SecretStr) -> None:
        self._url = url

    async def newest(self, tenant: str) -> list[Rule]:
        """A tenant's rules, by id."""
        return await self._within(lambda conn: rule_store.newest(conn, tenant))

    async def one(self, tenant: str, rule: str) -> Rule:
        """A rule. Raises `NotFound`."""
        return await self._within(lambda conn: rule_store.one(conn, tenant, rule))

    async def versions(self, tenant: str, rule: str) -> list[Rule]:
        """Every version of a rule, oldest first, also of one that is deleted. Raises `NotFound`."""
        return await self._within(lambda conn: rule_store.versions(conn, tenant, rule))

    async def put(self, tenant: str, draft: Draft, expected: int | None) -> Rule:
        """Stores a draft, if it differs, and answers with the rule as it is then.

        `expected` is the version that the caller has seen: 0 for none, None for any. Raises `Conflict`, `BadRequest`.
        """

        def work(conn: Connection[Any]) -> Rule:
            rule_store.apply(conn, tenant, [draft], expected)
            return rule_store.one(conn, tenant, draft.rule)

        return await self._within(work)

    async def delete(self, tenant: str, rule: str, expected: int | None) -> None:
        """Deletes a rule. Raises `NotFound`, `Conflict`."""
        await self._within(lambda conn: rule_store.delete(conn, tenant, rule, expected))

    async def _within(self, work: Callable[[Connection[Any]], _Answer]) -> _Answer:
        """One transaction, off the loop."""

        def run() -> _Answer:
            try:
                with psycopg.connect(
                    self._url.get_secret_value(),
                    connect_timeout=_WAIT_S,
                    application_name="headwater-api",
                    options="-c statement_timeout=10s",
                ) as conn:
                    return work(conn)
            except psycopg.OperationalError as error:
                said = " ".join(str(error).split())[:200]
                raise StackError(f"PostgreSQL is away: {said}.", "`headwater status` shows what runs.") from error

        return await asyncio.to_thread(run)
