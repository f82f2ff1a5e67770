"""The plain functions of this package as functions of Flink SQL. Needs PyFlink; nothing else here does.

    register(tables); tables.execute_sql("select temperature_in(`last`, 'fahrenheit', 'celsius') from ...")

The code reaches the TaskManagers in the wheel that `python.files` names. A Python function costs about five times a
SQL expression: once a record or a row of an aggregate, never once a reading.
"""

from __future__ import annotations

from typing import Any

from pyflink.table import DataTypes
from pyflink.table.udf import udf

from udfs import units


def register(tables: Any) -> None:
    """Makes all functions known to a TableEnvironment, under their own names."""
    tables.create_temporary_system_function(
        "temperature_in", udf(units.temperature_in, result_type=DataTypes.DOUBLE(), name="temperature_in")
    )
