"""Which rules are in force, by log time: for a tenant (`Book`), and for one of its devices (`Rules`)."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from typing import NamedTuple

from headwater.model.rule import Rule, Subject, matches
from headwater.rules.judge import Judge, judge

DELAY_MS = 500
"""A version counts from the log time of its record plus this, so that a job knows of it before it has to."""


class Version(NamedTuple):
    """A version of a rule and the log time from which it counts."""

    since: int
    judge: Judge


class Book:
    """All versions of all rules of a tenant. `changes` are the log times at which one begins to count, ascending."""

    def __init__(self, delay_ms: int = DELAY_MS) -> None:
        self.changes: list[int] = []
        self._delay_ms = delay_ms
        self._versions: dict[str, list[Version]] = {}
        self._on_metric: dict[str, set[str]] = {}

    def add(self, rule: Rule, appended: int) -> bool:
        """Takes in a record of `alert-rules` with its log time, in the order of the log; False if it is known.

        Of a version that was published again the first record counts, and an older version changes nothing.
        """
        versions = self._versions.setdefault(rule.rule, [])
        if versions and rule.version <= versions[-1].judge.rule.version:
            return False
        since = max(appended + self._delay_ms, versions[-1].since if versions else 0)
        versions.append(Version(since, judge(rule)))
        self._on_metric.setdefault(rule.when.metric, set()).add(rule.rule)
        insort(self.changes, since)
        return True

    def at(self, rule: str, log_time: int) -> Judge | None:
        """The version that counts at a log time: also a disabled or deleted one; None before the first."""
        versions = self._versions.get(rule, ())
        found = bisect_right(versions, log_time, key=lambda version: version.since)
        return versions[found - 1].judge if found else None

    def on(self, metric: str, log_time: int) -> list[Judge]:
        """What counts at a log time and watches a metric, or the device as a whole (silence), by rule."""
        named = self._on_metric.get(metric, set()) | self._on_metric.get("", set())
        found = [self.at(rule, log_time) for rule in sorted(named)]
        return [one for one in found if one is not None and one.rule.counts and one.metric in (metric, "")]


class Rules:
    """A tenant's rules as one device is meant by them.

    `history` is the device as the registry had it, by log time ascending; before the first entry, and without one, it
    is a device of the tenant of which nothing else is known.
    """

    def __init__(self, book: Book, tenant: str, device: str, history: Sequence[Subject] = ()) -> None:
        self.tenant = tenant
        self.device = device
        self._book = book
        self._history = [Subject(device=device, since=-1), *history]
        self._known = 0
        self._from, self._until = 0, -1
        self._on: dict[str, list[Judge]] = {}

    def changes(self, after: int, until: int) -> list[int]:
        """The log times, later than `after` and up to `until`, at which what is in force may change, ascending."""
        edits = self._book.changes
        found = edits[bisect_right(edits, after) : bisect_right(edits, until)]
        moves = [subject.since for subject in self._history if after < subject.since <= until]
        return sorted({*found, *moves}) if found or moves else []

    def subject(self, log_time: int) -> Subject:
        """The device as it was at a log time."""
        return self._history[bisect_right(self._history, log_time, key=lambda subject: subject.since) - 1]

    def at(self, rule: str, log_time: int) -> Judge | None:
        """The version of a rule that counts at a log time, whoever is meant."""
        return self._book.at(rule, log_time)

    def watching(self, metric: str, log_time: int) -> list[Judge]:
        """What counts for this device at a log time and watches a metric, by rule."""
        if self._known != len(self._book.changes) or not self._from <= log_time < self._until:
            self._remember(log_time)
        found = self._on.get(metric)
        if found is None:
            subject = self.subject(log_time)
            found = [one for one in self._book.on(metric, log_time) if matches(one.rule.scope, subject)]
            self._on[metric] = found
        return found

    def _remember(self, log_time: int) -> None:
        self._from, self._until = 0, 1 << 62
        for times in (self._book.changes, [subject.since for subject in self._history]):
            place = bisect_right(times, log_time)
            self._from = max(self._from, times[place - 1] if place else 0)
            self._until = min(self._until, times[place] if place < len(times) else 1 << 62)
        self._known = len(self._book.changes)
        self._on = {}
