"""The functions of this package as functions of Flink SQL. Needs PyFlink; nothing else here does.

    register(tables); tables.execute_sql("select convert_unit(`last`, 'fahrenheit', 'celsius') from ...")

The SQL Gateway finds each as `udfs.flink.<name>`. The code reaches the TaskManagers in the wheel that `python.files`
names. A Python function costs about five times a SQL expression: once a record or a row of an aggregate, never once a
reading.
"""

from __future__ import annotations

from typing import Any

from pyflink.table import DataTypes
from pyflink.table.udf import udf

from udfs.registry import functions, guarded

_TYPES = {
    "double": DataTypes.DOUBLE(),
    "string": DataTypes.STRING(),
    "boolean": DataTypes.BOOLEAN(),
    "bigint": DataTypes.BIGINT(),
}

WRAPPED = {name: udf(guarded(one.call), result_type=_TYPES[one.result], name=name) for name, one in functions().items()}
globals().update(WRAPPED)


def register(tables: Any) -> None:
    """Makes all functions known to a TableEnvironment, under their own names."""
    for name, wrapped in WRAPPED.items():
        tables.create_temporary_system_function(name, wrapped)
