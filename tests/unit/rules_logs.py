"""Small logs of one device for the tests of the evaluator, and an evaluator written from the definition."""

import json
from itertools import groupby

from headwater.model.alert import AlertEvent
from headwater.model.rule import Crossing, Range, Rate, Rule, Silence
from headwater.rules.book import Book, Rules
from headwater.rules.evaluate import Appended, Of, evaluate
from headwater.rules.item import Slice
from headwater.rules.state import State, dump, load
from headwater.rules.step import step


def rule(when, name="r", version=1, severity="warning", **more) -> Rule:
    return Rule(v=1, tenant="demo", rule=name, version=version, severity=severity, when=when, **more)


def log(*readings, metric="m") -> list[Slice]:
    """One slice a reading: (event time, value) with log time = event time, or (event time, value, log time)."""
    return [Slice(metric, [one[0]], [one[1]], one[2] if len(one) > 2 else one[0]) for one in readings]


def run(items, *rules, subjects=(), until=0, delay_ms=0) -> list[AlertEvent]:
    """Rules are of log time 0, or (log time, rule)."""
    appended = [Appended(*one) if isinstance(one, tuple) else Appended(0, one) for one in rules]
    of = [Of("demo", "d", item) for item in items]
    return evaluate(of, appended, {("demo", "d"): list(subjects)}, until, delay_ms)


def by_hand(items, rules, resume=False, subjects=()) -> list[AlertEvent]:
    """The same through `step`; with `resume` the state goes to bytes and back before each item."""
    book = Book(0)
    for at, one in rules:
        book.add(one, at)
    view, state, events = Rules(book, "demo", "d", subjects), State(), []
    for item in items:
        if resume:
            state = load(json.dumps(json.loads(dump(state))).encode())
            view = Rules(book, "demo", "d", subjects)
        events += step(view, state, item)[0]
    return events


def told(events) -> list[tuple]:
    """What a reader of a test wants to see."""
    return [(event.happened, event.severity, event.event_time, event.start) for event in events]


def naive(items: list[Slice], one: Rule, until: int) -> list[tuple]:
    """Every change of an alert (kind, severity, event time, start), from the definition: each looks at all before."""
    if isinstance(one.when, Silence):
        return naive_silence(items, one.when, one.severity, until)
    seen = [(ts, value) for item in items for ts, value in zip(item.ts, item.values, strict=True)]
    newest = [pair for at, pair in enumerate(seen) if all(pair[0] > ts for ts, _ in seen[:at])]
    if isinstance(one.when, Rate):
        newest = naive_rates(newest, one.when)
    levels = [level_now(newest[: at + 1], one) for at in range(len(newest))]
    said, start, before = [], 0, 0
    for at, level in enumerate(levels):
        ts = newest[at][0]
        if before == 0 and level:
            first = at
            while first and beyond(one, 1, newest[first - 1][1]):
                first -= 1
            start = newest[first][0]
            said.append(("raised", one.severities[level - 1], ts, start))
        elif before and level == 0:
            said.append(("cleared", one.severities[before - 1], ts, start))
        elif level != before:
            said.append(("escalated" if level > before else "deescalated", one.severities[level - 1], ts, start))
        before = level
    return said


def naive_rates(pairs, when: Rate) -> list[tuple]:
    found, last = [], None
    for ts, value in pairs:
        if last is None or ts - last[0] >= when.over_ms:
            if last is not None:
                found.append((ts, (value - last[1]) / (ts - last[0]) * when.per_ms))
            last = (ts, value)
    return found


def naive_silence(items: list[Slice], when: Silence, severity: str, until: int) -> list[tuple]:
    items = [item for item in items if when.metric in ("", item.metric)]
    heard = [at for at, _ in groupby(item.log_time for item in items)]
    said = []
    for at, following in zip(heard, [*heard[1:], None], strict=False):
        if (until if following is None else following) - at > when.for_ms:
            said.append(("raised", severity, at + when.for_ms, at))
            if following is not None:
                first = next(item for item in items if item.log_time == following)
                said.append(("cleared", severity, first.ts[0], at))
    return said


def level_now(pairs, one: Rule) -> int:
    """The highest level that was confirmed at some reading and kept at all since."""
    for level in range(len(one.severities), 0, -1):
        for sure in range(len(pairs) - 1, -1, -1):
            if not all(kept(one, level, value) for _, value in pairs[sure + 1 :]):
                break
            for first in range(sure + 1):
                if (
                    all(beyond(one, level, value) for _, value in pairs[first : sure + 1])
                    and pairs[sure][0] - pairs[first][0] >= one.when.hold_ms
                ):
                    return level
    return 0


def beyond(one: Rule, level: int, value: float) -> bool:
    when = one.when
    if isinstance(when, Crossing):
        limit = when.levels[0][level - 1]
        return value > limit if when.above is not None else value < limit
    if isinstance(when, Range):
        inside = when.low <= value <= when.high
        return inside if when.when == "inside" else not inside
    return value in when.values


def kept(one: Rule, level: int, value: float) -> bool:
    when = one.when
    if isinstance(when, Crossing):
        limit = when.levels[1][level - 1]
        return value > limit if when.above is not None else value < limit
    if isinstance(when, Range):
        if when.when == "outside":
            return not when.low + when.margin <= value <= when.high - when.margin
        return when.low - when.margin <= value <= when.high + when.margin
    return value in when.values
