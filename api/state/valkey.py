"""Reads Valkey: the newest row of every metric of a device, a moment after Flink has it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from pydantic import SecretStr
from redis import asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from headwater.model import codec
from headwater.model.errors import BadRecord, StackError
from headwater.model.pack import Aggregate
from headwater.model.stores import devices_key, latest_key

_CHUNK = 500


class Valkey:
    """Latest values by device. Every call raises `StackError` while Valkey cannot be reached."""

    def __init__(self, url: SecretStr) -> None:
        self._client = redis.Redis.from_url(
            url.get_secret_value(),
            protocol=2,
            socket_connect_timeout=2,
            socket_timeout=3,
            retry=Retry(NoBackoff(), 1),
            health_check_interval=15,
            client_name="headwater-api",
        )

    async def close(self) -> None:
        """Closes every connection."""
        await self._client.aclose()

    async def latest(self, tenant: str, devices: Sequence[str]) -> list[dict[str, Aggregate]]:
        """For each of `devices` its newest rows by metric, sorted; empty for one without values. One round trip."""
        if not devices:
            return []
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                for device in devices:
                    pipe.hgetall(latest_key(tenant, device))
                answers = await pipe.execute()
        except (RedisError, OSError) as error:
            raise _unreachable(error) from error
        return [_rows(answer) for answer in answers]

    async def everything(self) -> AsyncIterator[list[Aggregate]]:
        """The newest rows of all devices of all tenants, in chunks."""
        try:
            pattern = devices_key("*").replace("[", "\\[")
            async for key in self._client.scan_iter(match=pattern, count=1_000):
                tenant = _between(_text(key), *devices_key("\0").split("\0"))
                names = sorted(_text(name) for name in await self._client.smembers(key))
                for start in range(0, len(names), _CHUNK):
                    found = await self.latest(tenant, names[start : start + _CHUNK])
                    yield [row for metrics in found for row in metrics.values()]
        except (RedisError, OSError) as error:
            raise _unreachable(error) from error

    async def ping(self) -> None:
        """Returns if Valkey answers."""
        try:
            await self._client.ping()
        except (RedisError, OSError) as error:
            raise _unreachable(error) from error


def _rows(answer: dict[bytes, bytes]) -> dict[str, Aggregate]:
    rows = {}
    for metric, value in sorted(answer.items()):
        try:
            rows[metric.decode()] = codec.decode(Aggregate, value)
        except (BadRecord, UnicodeDecodeError):
            # A value that nobody can read is as good as none; the sink writes the next one over it.
            continue
    return rows


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _between(text: str, before: str, after: str) -> str:
    return text[len(before) : len(text) - len(after)]


def _unreachable(error: Exception) -> StackError:
    return StackError(
        f"Valkey does not answer ({type(error).__name__}: {str(error)[:200]}).",
        "look at `headwater status`; the API connects again by itself",
    )
