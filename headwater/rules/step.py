"""The evaluator: what one item does to the alerts of one device.

What is decided here, and nowhere else:

- Readings are seen in log order. Hold, rate and hysteresis go by event time: an episode is raised by the reading that
  is `hold_ms` or more after the first of an unbroken run beyond the level. A reading that is not newer in event time
  than one that the rule has seen of that metric is passed over (it is a copy, or late); the past is amended elsewhere.
- An open episode has the highest level that was confirmed and not cleared since. Between `clear` and the level nothing
  changes, except that a run which has not been long enough is broken.
- Silence goes by log time alone: an episode is raised when log time has passed what was last heard by *more* than
  `for_ms`. Readings of any event time are heard. A rule on silence watches a device from its first reading on that
  comes while the rule counts.
- When a rule is edited in what it judges, disabled, deleted, or the device leaves its scope, the episode is cleared at
  that log time, and judging begins anew with the next reading. A new text, or a scope that still means the device, lets
  the episode go on. A silence that goes on under an edited rule is raised again when it is due by that rule.
- The outcome does not depend on when it is asked for: ticks, however many, change nothing but how early it is known.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from headwater.model.alert import AlertEvent, Happened, Why, alert_id
from headwater.model.codec import VERSION
from headwater.model.rule import Rate, Silence, Value, matches
from headwater.rules.book import Rules
from headwater.rules.item import Item, Slice
from headwater.rules.judge import Judge
from headwater.rules.state import Pause, Run, State


def step(rules: Rules, state: State, item: Item) -> tuple[list[AlertEvent], int | None]:
    """What happened to the device's alerts up to and with `item`, and the next log time worth a tick.

    `state` is changed in place. Items of a device come in log order; one with a smaller log time than the one before
    counts as of the same. `rules` must know all versions that count up to `item.log_time`, and every change since
    `state.at`.
    """
    now = max(item.log_time, state.at)
    events: list[AlertEvent] = []
    if not state.empty:
        for change in rules.changes(state.at, now):
            events += _overdue(rules, state, change)
            events += _changed(rules, state, change)
        events += _overdue(rules, state, now)
    state.at = now
    if isinstance(item, Slice) and item.ts:
        events += _slice(rules, state, item, now)
    return events, state.wake


def _slice(rules: Rules, state: State, item: Slice, now: int) -> list[AlertEvent]:
    events: list[AlertEvent] = []
    numeric = item.numeric
    for judge in rules.watching(item.metric, now):
        if isinstance(judge.rule.when, Silence):
            events += _heard(rules, state, judge, judge.rule.when, item, now)
        elif judge.takes(numeric):
            events += _readings(rules, state, judge, item, now)
    # By event time, as if the readings had come one by one; the sort keeps the order by rule.
    return sorted(events, key=lambda event: event.event_time)


def _readings(rules: Rules, state: State, judge: Judge, item: Slice, now: int) -> list[AlertEvent]:
    rule = judge.rule
    run = state.runs.get(rule.rule)
    if run is None:
        run = state.runs[rule.rule] = Run(what=judge.what, version=rule.version, metric=judge.metric)
    first = bisect_right(item.ts, run.judged)
    if first == len(item.ts):
        return []
    run.judged = item.ts[-1]
    if not run.level and not run.since and item.numeric and judge.quiet(item.values):  # type: ignore[arg-type]
        return []
    events = []
    for at in range(first, len(item.ts)):
        ts, value = item.ts[at], item.values[at]
        judged = _rate(run, rule.when, ts, value) if isinstance(rule.when, Rate) else value
        if judged is None:
            continue
        happened = _advance(run, judge, ts, judged)
        if happened:
            kind, level, severity = happened
            events.append(
                _event(
                    rules,
                    rule.rule,
                    run,
                    happened=kind,
                    why="reading",
                    severity=severity,
                    event_time=ts,
                    start=run.start,
                    log_time=now,
                    value=judged,
                    level=level,
                    received=item.received,
                )
            )
    return events


def _rate(run: Run, when: Rate, ts: int, value: Any) -> float | None:
    """The change per `per_ms` since the last reading compared; None if it is too early to tell."""
    before, last = run.last_ts, run.last_value
    if before >= 0 and ts - before < when.over_ms:
        return None
    run.last_ts, run.last_value = ts, value
    return None if before < 0 else (value - last) / (ts - before) * when.per_ms


def _advance(run: Run, judge: Judge, ts: int, value: Value) -> tuple[Happened, float | None, Any] | None:
    """Takes one value in; what that does to the episode: its kind, the level compared with, the severity."""
    reached, before = judge.reached(value), run.level
    if reached < len(run.since):
        run.since = run.since[:reached]
    elif reached > len(run.since):
        run.since = run.since + [ts] * (reached - len(run.since))
    confirmed = bisect_right(run.since, ts - judge.hold_ms)
    after = max(confirmed, min(before, judge.kept(value)))
    if after == before:
        return None
    run.level = after
    if after == 0:
        return "cleared", judge.edge(value, 1, True), run.severity
    run.severity = judge.severities[after - 1]
    if before == 0:
        run.start = run.since[0]
        return "raised", judge.edge(value, after, False), run.severity
    if after > before:
        return "escalated", judge.edge(value, after, False), run.severity
    return "deescalated", judge.edge(value, after + 1, True), run.severity


def _heard(rules: Rules, state: State, judge: Judge, when: Silence, item: Slice, now: int) -> list[AlertEvent]:
    rule = judge.rule
    pause = state.pauses.get(rule.rule)
    state.pauses[rule.rule] = Pause(
        what=judge.what,
        version=rule.version,
        metric=judge.metric,
        heard=now,
        due=now + when.for_ms,
        start=now,
        severity=rule.severity,
    )
    if pause is None or not pause.open:
        return []
    return [
        _event(
            rules,
            rule.rule,
            pause,
            happened="cleared",
            why="reading",
            severity=pause.severity,
            event_time=item.ts[0],
            start=pause.start,
            log_time=now,
            received=item.received,
        )
    ]


def _overdue(rules: Rules, state: State, until: int) -> list[AlertEvent]:
    """Raises the silences that were due before `until`."""
    late = [(pause.due, rule) for rule, pause in state.pauses.items() if not pause.open and pause.due < until]
    events = []
    for due, rule in sorted(late):
        pause = state.pauses[rule]
        pause.open = True
        events.append(
            _event(
                rules,
                rule,
                pause,
                happened="raised",
                why="silence",
                severity=pause.severity,
                event_time=due,
                start=pause.start,
                log_time=due,
                value=float(due - pause.heard),
            )
        )
    return events


def _changed(rules: Rules, state: State, at: int) -> list[AlertEvent]:
    """What a change of rules or registry at log time `at` does to what is remembered."""
    events = []
    subject = rules.subject(at)
    held: list[tuple[str, Run | Pause]] = [*state.runs.items(), *state.pauses.items()]
    for rule, slot in sorted(held, key=lambda one: one[0]):
        judge = rules.at(rule, at)
        ended: Why | None = None
        if judge is None or judge.rule.deleted:
            ended = "rule-deleted"
        elif not judge.rule.enabled:
            ended = "rule-disabled"
        elif not matches(judge.rule.scope, subject):
            ended = "out-of-scope"
        elif judge.what != slot.what:
            ended = "rule-changed"
        if ended is None:
            slot.version = judge.rule.version if judge else slot.version
            continue
        is_open = slot.level > 0 if isinstance(slot, Run) else slot.open
        if is_open:
            events.append(
                _event(
                    rules,
                    rule,
                    slot,
                    happened="cleared",
                    why=ended,
                    severity=slot.severity,
                    event_time=at,
                    start=slot.start,
                    log_time=at,
                )
            )
        (state.runs if isinstance(slot, Run) else state.pauses).pop(rule)
        if ended == "rule-changed" and judge is not None and judge.metric == slot.metric:
            _inherit(state, judge, slot, at)
    return events


def _inherit(state: State, judge: Judge, slot: Run | Pause, at: int) -> None:
    """An edited rule on the same metric does not judge old readings anew, and a silence goes on."""
    rule = judge.rule
    if isinstance(slot, Run) and not isinstance(rule.when, Silence):
        state.runs[rule.rule] = Run(what=judge.what, version=rule.version, metric=slot.metric, judged=slot.judged)
    elif isinstance(slot, Pause) and isinstance(rule.when, Silence):
        state.pauses[rule.rule] = Pause(
            what=judge.what,
            version=rule.version,
            metric=slot.metric,
            heard=slot.heard,
            due=max(slot.heard + rule.when.for_ms, at),
            start=at,
            severity=rule.severity,
        )


def _event(rules: Rules, rule: str, slot: Run | Pause, start: int, **said: Any) -> AlertEvent:
    return AlertEvent(
        v=VERSION,
        alert_id=alert_id(rules.tenant, rule, rules.device, slot.metric, start),
        tenant=rules.tenant,
        rule=rule,
        version=slot.version,
        device=rules.device,
        metric=slot.metric,
        start=start,
        **said,
    )
