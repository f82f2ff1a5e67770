"""What a function of SQL may give: Flink's encoder fails the job for a value that is not of the declared type."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from numbers import Real
from reprlib import Repr
from typing import Any, Literal

Result = Literal["double", "string", "boolean", "bigint"]

_short = Repr()
_short.maxstring = _short.maxother = 60
shortened = _short.repr
"""A value for people, of a length that a log can bear."""

_SURE = {"double": float, "boolean": bool}
"""What needs no look at its value: nearly every row."""
_LEAST, _MOST = -(2**63), 2**63 - 1


class WrongResult(TypeError):
    """A function gave a value that is not of the SQL type that it is declared with."""


def as_declared(result: Result, value: Any) -> Any:
    """`value` as Python's own type of the SQL type `result`: Flink takes it in a process and in a thread. None is null.

    Any number is a double, a whole one within 64 bits a bigint, and truth is no number. Scalars of NumPy are as those
    of Python. Raises `WrongResult`.
    """
    if value is None or type(value) is _SURE.get(result):
        return value
    plain = value.item() if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0 else value
    try:
        return _AS[result](plain)
    except (TypeError, ValueError, OverflowError) as error:
        why = f": {error}" if str(error) else ""
        raise WrongResult(f"expected a {result}, got {type(value).__name__} {shortened(value)}{why}") from error


def _double(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal, Real)):
        raise TypeError
    return float(value)


def _bigint(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise TypeError
    whole = int(value)
    if whole != value:
        raise ValueError("it is not whole")
    if not _LEAST <= whole <= _MOST:
        raise OverflowError("it is beyond 64 bits")
    return whole


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError("it holds half of a character that UTF-16 writes as two") from error
    return value if type(value) is str else str.__str__(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


_AS: dict[str, Callable[[Any], Any]] = {"double": _double, "bigint": _bigint, "string": _string, "boolean": _boolean}
