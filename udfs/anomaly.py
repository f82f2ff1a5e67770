"""How unusual a pane is, from sums alone: it runs once a row of an aggregate, never once a reading."""

from __future__ import annotations

from math import sqrt

from udfs.registry import sql

LEAST_COUNT = 30
"""Readings before that are too few to say what is usual."""

NOISE = 1e-9
"""Sums of floats differ in the last digits with their order: a spread below this share of the mean is none."""


@sql("double")
def anomaly_score(mean: float, count_before: int, sum_before: float, sum_sq_before: float) -> float | None:
    """Standard score: how many standard deviations `mean` lies above (or below: negative) the readings before it.

    `count_before`, `sum_before` and `sum_sq_before` are those of the earlier panes, added up. Null with fewer than 30
    readings, and where they did not differ at all: then nothing says how much is much. Sample variance, Bessel's n - 1.
    """
    if count_before < LEAST_COUNT:
        return None
    usual = sum_before / count_before
    variance = (sum_sq_before - count_before * usual * usual) / (count_before - 1)
    if variance <= NOISE * max(usual * usual, 1e-300):
        return None
    return (mean - usual) / sqrt(variance)
