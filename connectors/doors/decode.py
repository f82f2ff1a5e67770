"""What a message says: from its bytes to packs and refusals, without I/O, clock or Kafka.

Accepted forms (times in epoch ms; numbers, texts and true/false are values):
    {"temperature": 21.5}                                 one stamp, the time of arrival
    {"ts": 1700000000000, "values": {"temperature": 21.5}}  one stamp
    [form, form, ...]                                     any of the others, mixed
    {"ts": [...], "metrics": {"temperature": [...]}}      columns; null is "no reading at this stamp"
A refusal never takes what is good beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from math import isfinite
from operator import lt
from typing import Any

from connectors.doors.cut import Arrival, Rows, cut, cut_columns, pack_of_one
from connectors.doors.limits import MAX_NAME, Limits, name_good
from connectors.doors.parse import parse
from headwater.model.errors import Refused
from headwater.model.pack import LARGEST, Pack

_FORMS = 'send {"name": value}, {"ts": ms, "values": {...}}, a list of those, or {"ts": [...], "metrics": {...}}'
_INFINITE = float("inf")
_INTS, _NUMBERS = {int}, {int, float}


@dataclass
class Refusal:
    """Why readings of a message were not taken: `count` readings (1 for a whole message), the first in `detail`."""

    reason: str
    detail: str
    count: int = 1


@dataclass(frozen=True)
class Decoded:
    """What a message holds: packs in ascending order of pane, refusals, readings taken, and the device's last stamp."""

    packs: list[Pack]
    refusals: list[Refusal]
    readings: int
    last_ms: int


def decode(payload: bytes, arrival: Arrival, limits: Limits) -> Decoded:
    """The packs and refusals of one message. Never raises on bad data."""
    message = _Message(arrival, limits)
    try:
        if len(payload) > limits.max_bytes:
            raise Refused(
                "too-large", f"expected at most {limits.max_bytes} bytes, got {len(payload)}; send smaller messages"
            )
        value = parse(payload)
        if whole := _whole_columns(value, message):
            return whole
        message.check_size(value)
        message.take(value, inside_list=False)
    except Refused as refused:
        return Decoded([], [Refusal(refused.reason, refused.detail)], 0, arrival.last_ms)
    return message.decoded()


class _Message:
    """One message while it is read: rows taken so far, refusals so far."""

    def __init__(self, arrival: Arrival, limits: Limits) -> None:
        self.arrival = arrival
        self.limits = limits
        self.oldest = arrival.received_ms - limits.oldest_ms
        self.newest = arrival.received_ms + limits.ahead_ms
        self.last_ms = arrival.last_ms
        self.rows: Rows = {}
        self.refusals: dict[str, Refusal] = {}
        self.names: dict[str, bool] = {}
        self.columns = False

    def refuse(self, reason: str, detail: str, count: int = 1) -> None:
        known = self.refusals.get(reason)
        if known is None:
            self.refusals[reason] = Refusal(reason, detail, count)
        else:
            known.count += count

    def check_size(self, value: Any) -> None:
        """Raises `Refused` if the whole message holds too many readings or metrics."""
        names: set[str] = set()
        readings = 0
        for item in value if type(value) is list else (value,):
            if type(item) is not dict:
                continue
            for inner in (item.get("metrics"), item.get("values")):
                if type(inner) is dict:
                    names.update(inner)
                    readings += sum(len(column) if type(column) is list else 1 for column in inner.values())
                    break
            else:
                names.update(item)
                readings += len(item)
        if readings > self.limits.max_readings:
            raise Refused(
                "too-many-readings",
                f"expected at most {self.limits.max_readings} readings in a message, got {readings}; send smaller ones",
            )
        if len(names) > self.limits.max_metrics:
            raise Refused(
                "too-many-metrics",
                f"expected at most {self.limits.max_metrics} metrics in a message, got {len(names)}; send fewer",
            )

    def take(self, value: Any, inside_list: bool) -> None:
        """Reads one of the accepted forms."""
        if type(value) is dict:
            values, metrics = value.get("values"), value.get("metrics")
            if type(metrics) is dict:
                self.take_columns(value, metrics)
            elif type(values) is dict:
                self.take_wrapped(value, values)
            elif "ts" in value:
                self.refuse("bad-shape", f'expected "values" or "metrics" beside "ts", got {_show(value)}; {_FORMS}')
            else:
                self.take_row(self.next_stamp(), value)
        elif type(value) is list and not inside_list:
            for item in value:
                self.take(item, inside_list=True)
        else:
            self.refuse("bad-shape", f"expected an object, got {_show(value)}; {_FORMS}")

    def next_stamp(self) -> int:
        """The stamp of an unstamped reading: arrival, and later than the last stamp of the device."""
        self.last_ms = max(self.arrival.received_ms, self.last_ms + 1)
        return self.last_ms

    def take_wrapped(self, item: dict[str, Any], values: dict[str, Any]) -> None:
        self.refuse_others(item, "values")
        if "ts" not in item:
            self.take_row(self.next_stamp(), values)
            return
        ts = self.stamp(item["ts"], len(values))
        if ts is not None:
            self.take_row(ts, values)

    def refuse_others(self, item: dict[str, Any], beside: str) -> None:
        others = [name for name in item if name not in ("ts", beside)]
        if others:
            self.refuse("bad-shape", f'expected nothing but "ts" and "{beside}", got {_show(others[0])} too; {_FORMS}')

    def stamp(self, ts: Any, readings: int) -> int | None:
        """`ts` as whole epoch ms inside the window; None if it was refused with `readings` readings."""
        readings = max(1, readings)
        if type(ts) is float and ts.is_integer():
            ts = int(ts)
        if type(ts) is not int:
            self.refuse(
                "bad-stamp", f"expected whole epoch milliseconds, got {_show(ts)}; send ts as a number", readings
            )
            return None
        if ts < self.oldest:
            self.refuse(
                "too-old", f"expected a stamp from {self.oldest} on, got {ts}; send ts in epoch milliseconds", readings
            )
            return None
        if ts > self.newest:
            self.refuse("too-new", f"expected a stamp up to {self.newest}, got {ts}; set the device's clock", readings)
            return None
        if ts > self.last_ms:
            self.last_ms = ts
        return ts

    def take_row(self, ts: int, values: dict[str, Any]) -> None:
        """Takes the readings of one stamp; a repeat of the same metric is passed over, for the first counts."""
        row = self.rows.setdefault(ts, {})
        for name, value in values.items():
            if not self.name_good(name, 1):
                continue
            good = self.value(value, name, ts)
            if good is not None:
                row.setdefault(name, good)

    def name_good(self, name: str, readings: int) -> bool:
        good = self.names.get(name)
        if good is None:
            good = self.names[name] = name_good(name)
        if not good:
            self.refuse(
                "bad-name",
                f"expected a name of 1 to {MAX_NAME} printable characters, got {_show(name)}; rename it",
                readings,
            )
        return good

    def value(self, value: Any, name: str, ts: int) -> float | str | bool | None:
        """The value in the type it travels in; None if it was refused."""
        kind = type(value)
        if kind is float or kind is int:
            try:
                number = float(value)
            except OverflowError:
                number = _INFINITE
            if -LARGEST < number < LARGEST:
                return number
            self.refuse(
                "not-finite",
                f"expected a number within ±{LARGEST:g}, got {_show(value)} for {_show(name)} at {ts}; leave it out",
            )
            return None
        if kind is bool:
            return bool(value)
        if kind is str:
            return self.text(value, name, ts)
        self.refuse(
            "bad-type", f"expected a number, a text or true/false, got {_show(value)} for {_show(name)} at {ts}"
        )
        return None

    def text(self, value: str, name: str, ts: int) -> str | None:
        if len(value) > self.limits.max_text:
            self.refuse(
                "too-long",
                f"expected at most {self.limits.max_text} characters, got {len(value)} for {_show(name)} at {ts}",
            )
            return None
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            self.refuse(
                "bad-type",
                f"expected text, got half of a surrogate pair for {_show(name)} at {ts}; send whole characters",
            )
            return None
        return value

    def take_columns(self, item: dict[str, Any], metrics: dict[str, Any]) -> None:
        self.columns = True
        self.refuse_others(item, "metrics")
        stamps = item.get("ts")
        if type(stamps) is not list:
            self.refuse("bad-shape", f'expected "ts" as a list beside "metrics", got {_show(stamps)}; {_FORMS}')
            return
        good = {name: column for name, column in metrics.items() if self.column_good(name, column, len(stamps))}
        for index, raw in enumerate(stamps):
            present = {name: column[index] for name, column in good.items() if column[index] is not None}
            if not present:
                continue
            ts = self.stamp(raw, len(present))
            if ts is not None:
                self.take_row(ts, present)

    def column_good(self, name: str, column: Any, length: int) -> bool:
        if type(column) is not list or len(column) != length:
            came = f"{len(column)} values" if type(column) is list else _show(column)
            readings = len(column) if type(column) is list else 1
            self.refuse(
                "bad-shape",
                f"expected {length} values for {_show(name)}, one for each stamp, got {came}",
                max(1, readings),
            )
            return False
        return self.name_good(name, max(1, length))

    def decoded(self) -> Decoded:
        if len(self.rows) == 1:
            ((ts, row),) = self.rows.items()
            packs = [pack_of_one(self.arrival, ts, row)] if row else []
            readings = len(row)
        else:
            packs, readings = cut(self.arrival, self.rows, self.limits.pack_cap)
        if not readings and not self.refusals and not self.columns:
            self.refuse("bad-shape", f"expected at least one reading, got none; {_FORMS}")
        return Decoded(packs, list(self.refusals.values()), readings, self.last_ms)


def _whole_columns(value: Any, message: _Message) -> Decoded | None:
    """The short way for what a well-behaved device sends: columns of numbers, ascending, no value missing, no flaw.

    None for every other message, which then goes the long way; both ways give the same.
    """
    if type(value) is not dict or len(value) != 2:
        return None
    stamps, metrics, limits = value.get("ts"), value.get("metrics"), message.limits
    if type(stamps) is not list or type(metrics) is not dict or not stamps or not metrics:
        return None
    if set(map(type, stamps)) != _INTS or not message.oldest <= stamps[0] or not stamps[-1] <= message.newest:
        return None
    length = len(stamps)
    if length > 1 and not all(map(lt, stamps, islice(stamps, 1, None))):
        return None
    if length * len(metrics) > limits.max_readings or len(metrics) > limits.max_metrics:
        return None
    columns = {}
    for name in sorted(metrics):
        column = metrics[name]
        if type(column) is not list or len(column) != length or not set(map(type, column)) <= _NUMBERS:
            return None
        # The sum finds NaN, which the least and the greatest may pass over.
        if not -LARGEST < min(column) <= max(column) < LARGEST or not isfinite(sum(column)):
            return None
        if not name_good(name):
            return None
        columns[name] = list(map(float, column))
    packs = cut_columns(message.arrival, stamps, columns, limits.pack_cap)
    return Decoded(packs, [], length * len(columns), max(message.last_ms, stamps[-1]))


def _show(value: Any) -> str:
    """A short, printable picture of what came."""
    shown = ascii(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
