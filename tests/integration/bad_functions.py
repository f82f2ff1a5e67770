"""Functions of SQL that fail, shipped to a cluster beside the wheel."""

from udfs.flink import wrapped
from udfs.registry import Function


def _inverse(value):
    return 1 / value


def _mistyped(value):
    return value if value else "none"


inverse = wrapped(Function("inverse", _inverse, "double"))
mistyped = wrapped(Function("mistyped", _mistyped, "double"))
