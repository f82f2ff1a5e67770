"""How a plain function becomes one of Flink SQL: `@sql("double")` above it, in any module of this package.

    @sql("double")
    def dew_point(temperature_celsius: float, humidity_percent: float) -> float | None: ...

`udfs.flink` wraps everything that is marked. Bad data never raises in a job: `guarded` gives null for a missing
argument, for NaN and infinities, and for whatever a function raises.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, wraps
from importlib import import_module
from inspect import signature
from pkgutil import iter_modules
from typing import Any, Literal, TypeVar

Call = TypeVar("Call", bound=Callable[..., Any])
Result = Literal["double", "string", "boolean", "bigint"]


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


def guarded(call: Callable[..., Any]) -> Callable[..., Any]:
    """`call` as a job may run it: None for a missing, NaN or infinite argument or result, and instead of any error."""

    @wraps(call)
    def run(*given: Any) -> Any:
        try:
            arguments = [float(one) if isinstance(one, Decimal) else one for one in given]  # 21.5 is a decimal in SQL
            found = None if any(_missing(one) for one in arguments) else call(*arguments)
        except Exception:  # whatever a function raises on bad data: null says so in the row, a restart loop would not
            return None
        return None if _missing(found) else found

    return run


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))
