"""A rule: which condition on which readings of which devices is an alert, and how severe. It travels on `alert-rules`.

Rules are data and have versions. A `Draft` is what people write; a `Rule` is a draft that was stored. Every number is
checked when a rule is made, so whoever holds a rule need not ask again.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Severity = Literal["critical", "major", "minor", "warning", "indeterminate"]
SEVERITIES: tuple[Severity, ...] = ("indeterminate", "warning", "minor", "major", "critical")
"""Mildest first."""

MOST_STEPS = 4
MOST_VALUES = 100
LONGEST_MS = 31 * 86_400_000

Name = Annotated[str, Meta(min_length=1, max_length=128)]
Metric = Annotated[str, Meta(min_length=1, max_length=256, description="the metric, as devices name it")]
Millis = Annotated[int, Meta(ge=0, le=LONGEST_MS)]
Level = Annotated[float, Meta(description="a number, in the metric's unit")]
Hold = Annotated[Millis, Meta(description="how long it must last, in ms of event time, before it is an alert")]
Value = float | str | bool


class Scope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which devices: all that is given must match; with nothing given, every device of the tenant."""

    site: Annotated[str, Meta(max_length=256, description="devices of this site")] = ""
    model: Annotated[str, Meta(max_length=256, description="devices of this model")] = ""
    tag: Annotated[str, Meta(max_length=256, description="devices with this tag")] = ""
    device: Annotated[str, Meta(max_length=128, description="this device alone")] = ""


class Subject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a scope is matched against: a device as the registry had it from log time `since` (epoch ms) on.

    A device that is `gone` (deleted) is meant by no rule.
    """

    device: str
    site: str = ""
    model: str = ""
    tags: tuple[str, ...] = ()
    since: int = 0
    gone: bool = False


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A further level, at which an open episode becomes more severe."""

    severity: Annotated[Severity, Meta(description="more severe than the step before")]
    level: Annotated[float, Meta(description="beyond the level before")]
    clear: Annotated[float | None, Meta(description="back at this level it is that severe no more; default: level")] = (
        None
    )


Escalate = Annotated[
    list[Step], Meta(max_length=MOST_STEPS, description="further levels with their severities, mildest first")
]


class Crossing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A number beyond a level: what threshold and rate have in common.

    `above` raises at numbers larger than it, `below` at smaller ones; exactly one is given. An episode is cleared when
    the number is back at `clear` or on its other side, so numbers between the two change nothing (hysteresis).
    """

    metric: Metric
    above: Annotated[float | None, Meta(description="raised above this level")] = None
    below: Annotated[float | None, Meta(description="raised below this level")] = None
    clear: Annotated[float | None, Meta(description="cleared when back at this level; default: the level itself")] = (
        None
    )
    hold_ms: Hold = 0
    escalate: Escalate = []

    def __post_init__(self) -> None:
        if (self.above is None) == (self.below is None):
            came = "neither" if self.above is None else "both"
            raise ValueError(f"expected exactly one of above and below, got {came}; give one")
        raised, cleared = self.levels
        _finite(*raised, *cleared)
        sign, side = (1, "above") if self.rising else (-1, "below")
        for level, clear in zip(raised, cleared, strict=True):
            if clear * sign > level * sign:
                raise ValueError(f"expected clear not {side} the level {level:g}, got {clear:g}; swap them")
        for what, numbers in (("level", raised), ("clear", cleared)):
            for one, next_one in pairwise(numbers):
                if next_one * sign < one * sign or (what == "level" and next_one == one):
                    raise ValueError(
                        f"expected each {what} of escalate to be further {side} than the one before, "
                        f"got {next_one:g} after {one:g}; order them from the mildest"
                    )

    @property
    def rising(self) -> bool:
        """True if numbers above the level raise."""
        return self.above is not None

    @property
    def levels(self) -> tuple[list[float], list[float]]:
        """The levels that raise, mildest first, and for each the one that clears."""
        first = self.above if self.above is not None else self.below
        assert first is not None  # noqa: S101  # __post_init__ has seen to it
        raised = [first, *(step.level for step in self.escalate)]
        clears = [self.clear, *(step.clear for step in self.escalate)]
        return raised, [level if clear is None else clear for level, clear in zip(raised, clears, strict=True)]


class Threshold(Crossing, frozen=True, tag_field="kind", tag="threshold"):
    """A reading above or below a level."""


class Rate(Crossing, frozen=True, tag_field="kind", tag="rate"):
    """A change of a metric over event time, in its unit per `per_ms`; falling is negative.

    A reading is compared with the last one compared, once `over_ms` of event time lie between; those in between are
    passed over.
    """

    per_ms: Annotated[int, Meta(ge=1, le=LONGEST_MS, description="the unit of time: 1000 is per second")] = 1_000
    over_ms: Annotated[Millis, Meta(description="least event time between two readings that are compared")] = 0


class Range(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="range",
):
    """A reading outside (or inside) `low` to `high`, both of which belong to the inside.

    `margin` is how far past the edge, into quiet, a reading must be to clear.
    """

    metric: Metric
    low: Level
    high: Level
    when: Annotated[Literal["outside", "inside"], Meta(description="where it is an alert")] = "outside"
    margin: Annotated[float, Meta(ge=0, description="how far past the edge it clears")] = 0.0
    hold_ms: Hold = 0

    def __post_init__(self) -> None:
        _finite(self.low, self.high, self.margin)
        if self.low > self.high:
            raise ValueError(f"expected low not above high, got {self.low:g} and {self.high:g}; swap them")
        if self.when == "outside" and self.low + self.margin > self.high - self.margin:
            raise ValueError(
                f"expected a margin of at most half of high - low, got {self.margin:g}; it could never clear"
            )


class Equals(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="equals",
):
    """A state: a reading that equals one of `values` (texts, flags or numbers)."""

    metric: Metric
    values: Annotated[list[Value], Meta(min_length=1, max_length=MOST_VALUES, description="any of these is an alert")]
    hold_ms: Hold = 0


class Silence(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="silence",
):
    """Nothing heard for more than `for_ms` of log time, of one metric or (without `metric`) of the device."""

    for_ms: Annotated[int, Meta(ge=1_000, le=LONGEST_MS, description="longest pause that is no alert, in ms")]
    metric: Annotated[str, Meta(max_length=256, description="the metric; without it, the device as a whole")] = ""


Condition = Threshold | Range | Equals | Rate | Silence


class Draft(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A rule as people write it."""

    rule: Annotated[Name, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$", description="its id within the tenant")]
    severity: Annotated[Severity, Meta(description="how severe, at the first level")]
    when: Condition
    scope: Scope = Scope()
    text: Annotated[str, Meta(max_length=1_000, description="for people: what it means and what to do")] = ""
    enabled: Annotated[bool, Meta(description="false: kept, and not judged")] = True

    def __post_init__(self) -> None:
        order = [SEVERITIES.index(severity) for severity in self.severities]
        if any(b <= a for a, b in pairwise(order)):
            raise ValueError(
                f"expected each severity of escalate to be more severe than the one before, got "
                f"{', '.join(self.severities)}; the order is {', '.join(SEVERITIES)}"
            )

    @property
    def severities(self) -> list[Severity]:
        """The severity of each level, mildest first."""
        steps = self.when.escalate if isinstance(self.when, Crossing) else []
        return [self.severity, *(step.severity for step in steps)]


class Rule(Draft, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A stored rule. `version` counts from 1 and never returns; a deletion is a version too (`deleted`)."""

    v: int
    tenant: str
    version: int
    deleted: bool = False

    @property
    def counts(self) -> bool:
        """True if it is judged."""
        return self.enabled and not self.deleted


class RuleFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Rules of one tenant, as a file."""

    rules: Annotated[list[Draft], Meta(max_length=10_000)]
    tenant: Annotated[Name, Meta(description="whose rules these are")] = "demo"


def matches(scope: Scope, subject: Subject) -> bool:
    """True if a device is meant by a scope."""
    return (
        not subject.gone
        and scope.device in ("", subject.device)
        and scope.site in ("", subject.site)
        and scope.model in ("", subject.model)
        and (not scope.tag or scope.tag in subject.tags)
    )


def _finite(*numbers: float) -> None:
    for number in numbers:
        if not math.isfinite(number):
            raise ValueError(f"expected a finite number, got {number}; leave it out or give one")
