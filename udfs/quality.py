"""How far a value can be trusted."""

from __future__ import annotations

from udfs.registry import sql


@sql("string")
def quality(value: float, low: float, high: float, sensitivity: float) -> str | None:
    """good, uncertain or bad (the severities of OPC UA, part 8) by the range of a sensor and what it can resolve.

    In the unit of the value: good within [low, high]; uncertain beyond it by no more than `sensitivity`, which a sensor
    at its end may well report; bad beyond that. Null if the range is empty or the sensitivity negative.
    """
    if low > high or sensitivity < 0:
        return None
    if low <= value <= high:
        return "good"
    return "uncertain" if low - sensitivity <= value <= high + sensitivity else "bad"
