"""How a plain function becomes one of Flink SQL: `@sql("double")` above it, in any module of this package.

    @sql("double")
    def dew_point(temperature_celsius: float, humidity_percent: float) -> float | None: ...

`udfs.flink` wraps everything that is marked. Bad data never raises in a job: `guarded` gives null for a missing
argument, for NaN and infinities, and for whatever a function raises or gives of another type; of these two it tells.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, wraps
from importlib import import_module
from inspect import signature
from pkgutil import iter_modules
from typing import Any, TypeVar

from udfs.results import Result, as_declared

Call = TypeVar("Call", bound=Callable[..., Any])
Failed = Callable[[str, BaseException, Sequence[Any]], None]
"""Is told of a failure: the function's name, what it raised (or `WrongResult`), and its arguments. Raises nothing."""


@dataclass(frozen=True)
class Function:
    """One function of SQL: its name there, the plain function, and the SQL type of what it gives."""

    name: str
    call: Callable[..., Any]
    result: Result

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of its arguments, in order."""
        return tuple(signature(self.call).parameters)

    @property
    def says(self) -> str:
        """The first line of its docstring."""
        return (self.call.__doc__ or "").strip().partition("\n")[0]


_MARKED: dict[str, Function] = {}


def sql(result: Result) -> Callable[[Call], Call]:
    """Marks a function as one of SQL, under its own name. Raises `ValueError` if two have one name."""

    def mark(call: Call) -> Call:
        if call.__name__ in _MARKED:
            raise ValueError(f"expected a name of its own, got {call.__name__} a second time")
        _MARKED[call.__name__] = Function(call.__name__, call, result)
        return call

    return mark


@cache
def functions() -> dict[str, Function]:
    """Every function of this package by name. Imports all modules but `udfs.flink`, so PyFlink is not needed."""
    package = import_module("udfs")
    for module in iter_modules(package.__path__):
        if module.name != "flink":
            import_module(f"udfs.{module.name}")
    return dict(sorted(_MARKED.items()))


def guarded(one: Function, failed: Failed) -> Callable[..., Any]:
    """A function as a job may run it: what it gives is of its SQL type, and instead of any error it is None.

    None is also what a missing, NaN or infinite argument or result gives; that is no failure.
    """

    @wraps(one.call)
    def run(*given: Any) -> Any:
        try:
            arguments = [float(each) if isinstance(each, Decimal) else each for each in given]  # in SQL 21.5 is one
            found = None if any(_missing(each) for each in arguments) else one.call(*arguments)
            found = None if _missing(found) else as_declared(one.result, found)
        except (Exception, SystemExit) as error:  # null says so in the row, a restart loop would not
            failed(one.name, error, given)
            return None
        return None if _missing(found) else found

    return run


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))
