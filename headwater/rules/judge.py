"""A rule made ready to judge: how far beyond its levels a value is, and which levels it still keeps up."""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property
from hashlib import blake2b

import msgspec

from headwater.model.rule import Crossing, Equals, Range, Rate, Rule, Severity, Silence, Value


class Judge:
    """A version of a rule. `what` stands for all that decides: versions with the same one judge alike."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.severities: list[Severity] = rule.severities
        self.hold_ms = 0 if isinstance(rule.when, Silence) else rule.when.hold_ms

    @cached_property
    def what(self) -> str:
        """The same for versions that differ in text and scope alone."""
        same = msgspec.json.encode((self.rule.when, self.rule.severity))
        return blake2b(same, digest_size=6).hexdigest()

    @property
    def metric(self) -> str:
        """The metric that it watches; empty: all of the device."""
        return self.rule.when.metric

    def takes(self, numeric: bool) -> bool:
        """Whether it says anything about readings of this kind."""
        return numeric or isinstance(self.rule.when, Equals | Silence)

    def reached(self, value: Value) -> int:
        """How many levels `value` is beyond: 0 is none."""
        raise NotImplementedError

    def kept(self, value: Value) -> int:
        """How many levels `value` does not clear."""
        return self.reached(value)

    def edge(self, value: Value, level: int, clearing: bool) -> float | None:
        """The number that `value` was compared with for that level (from 1); None if with no number."""
        raise NotImplementedError

    def quiet(self, values: list[float]) -> bool:
        """True if it is plain that none of these numbers reaches a level: most slices end here."""
        raise NotImplementedError


class _Crossing(Judge):
    """Numbers beyond levels; below is above with the sign turned."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        assert isinstance(rule.when, Crossing)  # noqa: S101  # for the type checker; `judge` chooses by kind
        raised, cleared = rule.when.levels
        self._sign = 1.0 if rule.when.rising else -1.0
        self._raised = [level * self._sign for level in raised]
        self._cleared = [level * self._sign for level in cleared]
        self._always = isinstance(rule.when, Rate)

    def reached(self, value: Value) -> int:
        return bisect_left(self._raised, float(value) * self._sign)

    def kept(self, value: Value) -> int:
        return bisect_left(self._cleared, float(value) * self._sign)

    def edge(self, value: Value, level: int, clearing: bool) -> float | None:  # noqa: ARG002  # as the base has it
        return (self._cleared if clearing else self._raised)[level - 1] * self._sign

    def quiet(self, values: list[float]) -> bool:
        if self._always:
            return False
        most = max(values) if self._sign > 0 else -min(values)
        return most <= self._raised[0]


class _Range(Judge):
    """Inside or outside of two edges."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        assert isinstance(rule.when, Range)  # noqa: S101  # for the type checker; `judge` chooses by kind
        self._low, self._high, self._margin = rule.when.low, rule.when.high, rule.when.margin
        self._outside = rule.when.when == "outside"

    def reached(self, value: Value) -> int:
        return int((self._low <= float(value) <= self._high) != self._outside)

    def kept(self, value: Value) -> int:
        inward = self._margin if self._outside else -self._margin
        return int((self._low + inward <= float(value) <= self._high - inward) != self._outside)

    def edge(self, value: Value, level: int, clearing: bool) -> float | None:  # noqa: ARG002  # as the base has it
        inward = (self._margin if self._outside else -self._margin) if clearing else 0.0
        nearer_low = float(value) - self._low < self._high - float(value)
        return self._low + inward if nearer_low else self._high - inward

    def quiet(self, values: list[float]) -> bool:
        least, most = min(values), max(values)
        if self._outside:
            return self._low <= least and most <= self._high
        return most < self._low or self._high < least


class _Equals(Judge):
    """One of some values. True is not 1, and "1" is neither."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        assert isinstance(rule.when, Equals)  # noqa: S101  # for the type checker; `judge` chooses by kind
        self._values = {_kind(value) for value in rule.when.values}

    def reached(self, value: Value) -> int:
        return int(_kind(value) in self._values)

    def edge(self, value: Value, level: int, clearing: bool) -> float | None:  # noqa: ARG002  # as the base has it
        return None

    def quiet(self, values: list[float]) -> bool:
        return not any(map(self.reached, values))


def _kind(value: Value) -> tuple[str, Value]:
    return ("flag" if isinstance(value, bool) else "text" if isinstance(value, str) else "number", value)


def judge(rule: Rule) -> Judge:
    """The judge for a rule's condition."""
    match rule.when:
        case Crossing():
            return _Crossing(rule)
        case Range():
            return _Range(rule)
        case Equals():
            return _Equals(rule)
        case Silence():
            return Judge(rule)
