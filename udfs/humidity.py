"""Moist air."""

from __future__ import annotations

import math

from udfs.registry import sql

_B, _C = 17.62, 243.12
COLDEST, WARMEST = -45.0, 60.0
"""Degrees Celsius between which the formula holds."""


@sql("double")
def dew_point(temperature_celsius: float, humidity_percent: float) -> float | None:
    """Dew point over water in °C from air temperature (°C) and relative humidity (%); null outside -45..60 and 0..100.

    Magnus formula with the coefficients of Sonntag (1990), as the WMO's Guide to Meteorological Instruments and Methods
    of Observation (No. 8, annex 4.B) gives it.
    """
    if not COLDEST <= temperature_celsius <= WARMEST or not 0 < humidity_percent <= 100:
        return None
    gamma = math.log(humidity_percent / 100) + _B * temperature_celsius / (_C + temperature_celsius)
    return _C * gamma / (_B - gamma)
