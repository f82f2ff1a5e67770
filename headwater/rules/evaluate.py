"""The evaluator over a whole log: what parity tests, backtests and proofs are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from headwater.model.alert import AlertEvent
from headwater.model.rule import Rule, Subject
from headwater.rules.book import DELAY_MS, Book, Rules
from headwater.rules.item import Item, Tick
from headwater.rules.state import State
from headwater.rules.step import step


class Of(NamedTuple):
    """An item of a device."""

    tenant: str
    device: str
    item: Item


class Appended(NamedTuple):
    """A version of a rule and the log time (epoch ms) of its record."""

    log_time: int
    rule: Rule


def evaluate(
    items: Iterable[Of],
    rule_versions: Iterable[Appended],
    subjects: Mapping[tuple[str, str], Sequence[Subject]],
    until: int = 0,
    delay_ms: int = DELAY_MS,
) -> list[AlertEvent]:
    """Every event of a log, by log time, tenant and device; of a device as `step` gives them.

    `items` and `rule_versions` are in log order each (of `items`, for each device); `subjects` is the registry by
    (tenant, device), by log time ascending. `until` is the log time up to which silence is judged after the last item.
    """
    books: dict[str, Book] = {}
    for log_time, rule in rule_versions:
        books.setdefault(rule.tenant, Book(delay_ms)).add(rule, log_time)
    devices: dict[tuple[str, str], tuple[Rules, State]] = {}
    events: list[AlertEvent] = []
    for tenant, device, item in items:
        key = (tenant, device)
        if key not in devices:
            book = books.setdefault(tenant, Book(delay_ms))
            devices[key] = Rules(book, tenant, device, subjects.get(key, ())), State()
        events += step(*devices[key], item)[0]
    for rules, state in devices.values():
        events += step(rules, state, Tick(until))[0]
    return sorted(events, key=lambda event: (event.log_time, event.tenant, event.device))
