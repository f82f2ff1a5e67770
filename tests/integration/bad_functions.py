"""Functions of SQL that fail, shipped to a cluster beside the wheel."""

import time

from udfs.flink import wrapped
from udfs.registry import Function


def _inverse(value):
    return 1 / value


def _mistyped(value):
    return value if value else "none"


def _never(value):
    if value == 49:
        # All fail at once: the letters' thread connects meanwhile, and the last is told at the end.
        time.sleep(5)
    raise ValueError(f"not for {value}")


inverse = wrapped(Function("inverse", _inverse, "double"))
mistyped = wrapped(Function("mistyped", _mistyped, "double"))
never = wrapped(Function("never", _never, "string"))
