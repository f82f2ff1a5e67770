"""The functions of this package as functions of Flink SQL. Needs PyFlink; nothing else here does.

    register(tables); tables.execute_sql("select convert_unit(`last`, 'fahrenheit', 'celsius') from ...")

The SQL Gateway finds each as `udfs.flink.<name>`. The code reaches the TaskManagers in the wheel that `python.files`
names. A Python function costs about five times a SQL expression: once a record or a row of an aggregate, never once a
reading.
"""

from __future__ import annotations

from typing import Any

from pyflink.table import DataTypes
from pyflink.table.udf import FunctionContext, ScalarFunction, udf

from udfs.letters import PARAMETERS, Letters, letters_of
from udfs.registry import Function, functions, guarded

_TYPES = {
    "double": DataTypes.DOUBLE(),
    "string": DataTypes.STRING(),
    "boolean": DataTypes.BOOLEAN(),
    "bigint": DataTypes.BIGINT(),
}


class _Guarded(ScalarFunction):  # type: ignore[misc]  # PyFlink has no types
    """A function as Flink's workers run it: what fails is null in the row and a dead letter."""

    def __init__(self, one: Function) -> None:
        self._one = one
        self._letters: Letters | None = None
        self._run: Any = None

    def open(self, function_context: FunctionContext) -> None:
        """Learns where its letters go."""
        self._letters = letters_of({name: function_context.get_job_parameter(name, "") for name in PARAMETERS})
        self._run = guarded(self._one, self._letters.failed)

    def eval(self, *given: Any) -> Any:
        """One row."""
        return self._run(*given)

    def close(self) -> None:
        """Sends what is still to be told."""
        if self._letters is not None:
            self._letters.settle()


def wrapped(one: Function) -> Any:
    """A function as one of Flink SQL."""
    return udf(_Guarded(one), result_type=_TYPES[one.result], name=one.name)


WRAPPED = {name: wrapped(one) for name, one in functions().items()}
globals().update(WRAPPED)


def register(tables: Any) -> None:
    """Makes all functions known to a TableEnvironment, under their own names."""
    for name, wrapped in WRAPPED.items():
        tables.create_temporary_system_function(name, wrapped)
