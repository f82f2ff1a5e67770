"""Reads ClickHouse: raw readings, each once, a page at a time, and how far its sink has come. It never writes.

Plain HTTP in ClickHouse's own terms: an answer in CSV or Arrow is passed on as the bytes that came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import orjson
from pydantic import SecretStr

from api.state.cursor import Positions
from headwater.model.errors import StackError
from headwater.model.stores import RAW_EDGE, RAW_LOGS, RAW_POSITIONS, READINGS

_WAIT_S = 10.0

_WHERE = f"""
from {READINGS} final
where tenant = {{tenant:String}}
  and device = {{device:String}}
  and metric = {{metric:String}}
  and ts >= {{first:Int64}}
  and ts < {{end:Int64}}
  and (ts, toInt8({READINGS}.kind)) >= ({{from_ts:Int64}}, {{from_kind:Int8}})
  and ts >= (select max(before_ms) from {RAW_EDGE})
"""  # noqa: S608  # constants

_NEXT = f"""
select
  ts,
  toInt8({READINGS}.kind) as place
{_WHERE}
order by ts, place
limit 1 offset {{limit:UInt32}}
"""

_PAGE = f"""
select
  ts,
  toString(kind) as kind,
  if(kind = 'text', null, value) as value,
  if(kind = 'text', text, null) as text,
  log_time,
  received
{_WHERE}
  and (ts, toInt8({READINGS}.kind)) < ({{until_ts:Int64}}, {{until_kind:Int8}})
order by ts, toInt8({READINGS}.kind)
"""

_HAS = f"""
select count() > 0 as found
from (
  select 1
  from {READINGS}
  where tenant = {{tenant:String}}
    and device = {{device:String}}
    and metric = {{metric:String}}
  limit 1
) as some
"""  # noqa: S608  # constants

_POSITIONS = f"""
select log_partition, max(next_offset) as next_offset
from {RAW_POSITIONS}
where log_id = (select log_id from {RAW_LOGS} group by log_id order by min(log_number) desc limit 1)
group by log_partition
"""  # noqa: S608  # constants

_PLAIN = {
    "output_format_json_quote_64bit_integers": "0",
    "format_csv_null_representation": "",
    # What reads Arrow in a browser knows no compression.
    "output_format_arrow_compression_method": "none",
    "output_format_arrow_string_as_string": "1",
}


@dataclass(frozen=True)
class Place:
    """Where a page begins or ends: at this event time (epoch ms) and kind (0 number, 1 text, 2 flag)."""

    ts: int = 0
    kind: int = 0


@dataclass(frozen=True)
class Span:
    """Readings of one metric with an event time in [first_ms, end_ms), from `place` on."""

    tenant: str
    device: str
    metric: str
    first_ms: int
    end_ms: int
    place: Place

    def given(self) -> dict[str, object]:
        """As parameters of the statements here."""
        return {
            "tenant": self.tenant,
            "device": self.device,
            "metric": self.metric,
            "first": self.first_ms,
            "end": self.end_ms,
            "from_ts": self.place.ts,
            "from_kind": self.place.kind,
        }


class ClickHouse:
    """A client of the raw store. Every call raises `StackError` while it cannot be reached."""

    def __init__(self, url: SecretStr) -> None:
        parts = urlsplit(url.get_secret_value())
        self._database = unquote(parts.path.strip("/")) or "default"
        self._client = httpx.AsyncClient(
            base_url=f"{parts.scheme}://{parts.hostname}:{parts.port or 8123}",
            auth=(unquote(parts.username or "default"), unquote(parts.password or "")),
            timeout=httpx.Timeout(_WAIT_S, connect=2.0),
            headers={"User-Agent": "headwater-api"},
        )

    async def close(self) -> None:
        """Closes every connection."""
        await self._client.aclose()

    async def page(self, span: Span, until: Place | None, form: str) -> bytes:
        """The readings of `span` before `until` by event time, in ClickHouse's format `form`.

        Columns: ts, kind, value, text, log_time, received. `value` is null for a text, `text` for all else; a flag's
        value is 0 or 1. Times are epoch ms.
        """
        end = until or Place(span.end_ms)
        return await self._ask(_PAGE, {**span.given(), "until_ts": end.ts, "until_kind": end.kind}, form)

    async def skip(self, span: Span, readings: int) -> Place | None:
        """Where in `span` one is after so many readings; None if that is past the last one."""
        rows = await self._rows(_NEXT, {**span.given(), "limit": readings})
        return Place(int(rows[0]["ts"]), int(rows[0]["place"])) if rows else None

    async def has_metric(self, tenant: str, device: str, metric: str) -> bool:
        """True if any reading of the metric is held."""
        rows = await self._rows(_HAS, {"tenant": tenant, "device": device, "metric": metric})
        return bool(rows[0]["found"])

    async def positions(self) -> Positions:
        """Where the sink has come to in `raw-sensor-data`."""
        rows = await self._rows(_POSITIONS, {})
        return {int(row["log_partition"]): int(row["next_offset"]) for row in rows}

    async def _rows(self, statement: str, given: Mapping[str, object]) -> list[Any]:
        answer = orjson.loads(await self._ask(statement, given, "JSON"))
        return list(answer["data"])

    async def _ask(self, statement: str, given: Mapping[str, object], form: str) -> bytes:
        parameters = {f"param_{name}": _escaped(value) for name, value in given.items()}
        try:
            answer = await self._client.post(
                "/",
                params={"database": self._database, "default_format": form, **_PLAIN, **parameters},
                content=statement.encode(),
            )
        except httpx.HTTPError as error:
            raise _away(f"{type(error).__name__}: {error}") from error
        if answer.status_code != 200:
            raise _away(answer.text)
        return answer.content


def _escaped(value: object) -> str:
    """A parameter as ClickHouse reads it: like a field of a tab-separated file."""
    text = str(value).replace("\\", "\\\\")
    return text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _away(said: str) -> StackError:
    return StackError(
        f"ClickHouse, which holds the raw readings, does not answer ({said.strip()[:200]}).",
        "look at `headwater status`; all other calls go on, and this one when ClickHouse is back",
    )
