"""Readings in the unit that a query asks for, whatever the sensor speaks."""

from __future__ import annotations

from udfs.registry import sql

DIMENSIONS: dict[str, dict[str, tuple[float, float]]] = {
    "temperature": {"celsius": (1, 0), "kelvin": (1, -273.15), "fahrenheit": (5 / 9, -160 / 9)},
    "pressure": {
        "pascal": (1, 0),
        "hpa": (100, 0),
        "kpa": (1_000, 0),
        "mbar": (100, 0),
        "bar": (100_000, 0),
        "psi": (6_894.757293168361, 0),
    },
    "flow": {"l_per_s": (1, 0), "l_per_min": (1 / 60, 0), "m3_per_h": (1 / 3.6, 0)},
    "power": {"watt": (1, 0), "kilowatt": (1_000, 0), "megawatt": (1_000_000, 0)},
    "energy": {"joule": (1, 0), "watt_hour": (3_600, 0), "kilowatt_hour": (3_600_000, 0)},
    "voltage": {"volt": (1, 0), "millivolt": (0.001, 0), "kilovolt": (1_000, 0)},
    "current": {"ampere": (1, 0), "milliampere": (0.001, 0)},
    "length": {
        "metre": (1, 0),
        "millimetre": (0.001, 0),
        "centimetre": (0.01, 0),
        "kilometre": (1_000, 0),
        "inch": (0.0254, 0),
        "foot": (0.3048, 0),
        "mile": (1_609.344, 0),
    },
    "speed": {
        "m_per_s": (1, 0),
        "mm_per_s": (0.001, 0),
        "km_per_h": (1 / 3.6, 0),
        "mile_per_h": (0.44704, 0),
        "knot": (1_852 / 3_600, 0),
    },
    "mass": {"kilogram": (1, 0), "gram": (0.001, 0), "tonne": (1_000, 0), "pound": (0.45359237, 0)},
    "time": {"second": (1, 0), "millisecond": (0.001, 0), "minute": (60, 0), "hour": (3_600, 0), "day": (86_400, 0)},
    "ratio": {"fraction": (1, 0), "percent": (0.01, 0), "ppm": (1e-6, 0)},
}
"""Dimension -> unit -> (factor, offset) to the first unit of its dimension: base = value * factor + offset.

Factors are exact by definition (SI Brochure, 9th edition; international yard and pound of 1959).
"""

_OF = {unit: (dimension, *line) for dimension, units in DIMENSIONS.items() for unit, line in units.items()}


@sql("double")
def convert_unit(value: float, unit: str, wanted: str) -> float | None:
    """`value` of `unit` in the unit `wanted`; null if one is unknown or they measure different things."""
    if unit not in _OF or wanted not in _OF:
        return None
    (dimension, factor, offset), (other, wanted_factor, wanted_offset) = _OF[unit], _OF[wanted]
    if dimension != other:
        return None
    return (value * factor + offset - wanted_offset) / wanted_factor
