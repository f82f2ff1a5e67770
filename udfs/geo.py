"""Places on the Earth."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt

from udfs.registry import sql

RADIUS_M = 6_371_008.8
"""The Earth's mean radius (IUGG, R1)."""


@sql("double")
def geo_distance(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float | None:
    """Metres between two places (degrees) along a great circle; null beyond ±90 and ±180 degrees.

    The haversine formula on a sphere (Sinnott, Sky and Telescope, 1984): wrong by at most 0.6 %, as the Earth is none.
    """
    if max(abs(latitude), abs(other_latitude)) > 90 or max(abs(longitude), abs(other_longitude)) > 180:
        return None
    north, east = radians(other_latitude - latitude), radians(other_longitude - longitude)
    half = sin(north / 2) ** 2 + cos(radians(latitude)) * cos(radians(other_latitude)) * sin(east / 2) ** 2
    return 2 * RADIUS_M * asin(sqrt(min(1.0, half)))
