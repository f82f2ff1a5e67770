"""Readings in the unit that a query asks for, whatever the sensor speaks: plain functions, wrapped in `udfs.flink`."""

from __future__ import annotations

from collections.abc import Callable

TO_CELSIUS: dict[str, Callable[[float], float]] = {
    "celsius": lambda value: value,
    "fahrenheit": lambda value: (value - 32) / 1.8,
    "kelvin": lambda value: value - 273.15,
}
FROM_CELSIUS: dict[str, Callable[[float], float]] = {
    "celsius": lambda value: value,
    "fahrenheit": lambda value: value * 1.8 + 32,
    "kelvin": lambda value: value + 273.15,
}


def temperature_in(value: float | None, unit: str | None, wanted: str) -> float | None:
    """`value` of `unit` in the unit `wanted`: celsius, fahrenheit or kelvin (ITS-90 scales, exact offsets).

    None for an unknown unit or a missing value: bad data never raises in a job.
    """
    if value is None or unit not in TO_CELSIUS or wanted not in FROM_CELSIUS:
        return None
    return FROM_CELSIUS[wanted](TO_CELSIUS[unit](value))
