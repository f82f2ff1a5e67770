"""Reads Valkey: the newest row of every metric of a device, a moment after Flink has it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from pydantic import SecretStr
from redis import asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from headwater.model import codec
from headwater.model.episode import Episode
from headwater.model.errors import BadRecord, StackError
from headwater.model.pack import Aggregate
from headwater.model.stores import (
    ALERTS_FILLED_KEY,
    active_alerts_key,
    cleared_alerts_key,
    devices_key,
    latest_key,
)

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
            async for key, tenant in self._tenants(devices_key):
                names = sorted(_text(name) for name in await self._client.smembers(key))
                for start in range(0, len(names), _CHUNK):
                    found = await self.latest(tenant, names[start : start + _CHUNK])
                    yield [row for metrics in found for row in metrics.values()]
        except (RedisError, OSError) as error:
            raise _unreachable(error) from error

    async def holds_alerts(self) -> bool:
        """Whether its sink has filled it with what the log says of alerts."""
        try:
            return bool(await self._client.exists(ALERTS_FILLED_KEY))
        except (RedisError, OSError) as error:
            raise _unreachable(error) from error

    async def episodes(self) -> AsyncIterator[list[Episode]]:
        """The active alerts of all tenants, in chunks."""
        try:
            async for key, _ in self._tenants(active_alerts_key):
                chunk: list[Episode] = []
                async for _, value in self._client.hscan_iter(key, count=_CHUNK):
                    chunk += _episode(value)
                    if len(chunk) >= _CHUNK:
                        yield chunk
                        chunk = []
                yield chunk
        except (RedisError, OSError) as error:
            raise _unreachable(error) from error

    async def cleared_alerts(self, most: int) -> AsyncIterator[tuple[str, list[str]]]:
        """Of each tenant the ids of at most `most` alerts that were cleared, oldest first."""
        try:
            async for key, tenant in self._tenants(cleared_alerts_key):
                newest = await self._client.zrange(key, -most, -1)
                yield tenant, [_text(name) for name in newest]  # type: ignore[arg-type]  # no scores were asked for
        except (RedisError, OSError) as error:
            raise _unreachable(error) from error

    async def _tenants(self, key_of: Callable[[str], str]) -> AsyncIterator[tuple[bytes, str]]:
        """Every key of a kind that each tenant has one of, and the tenant."""
        pattern = key_of("*").replace("[", "\\[")
        async for key in self._client.scan_iter(match=pattern, count=1_000):
            yield key, _between(_text(key), *key_of("\0").split("\0"))

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


def _episode(value: bytes) -> list[Episode]:
    try:
        return [codec.decode(Episode, value)]
    except BadRecord:
        # As above: its next event is written over it.
        return []


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _between(text: str, before: str, after: str) -> str:
    return text[len(before) : len(text) - len(after)]


def _unreachable(error: Exception) -> StackError:
    return StackError(
        f"Valkey does not answer ({type(error).__name__}: {str(error)[:200]}).",
        "look at `headwater status`; the API connects again by itself",
    )
