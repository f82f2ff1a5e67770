"""What simulated devices measure: a function of seed, device, metric and time, so that a fleet can be repeated."""

from __future__ import annotations

import hashlib
import hmac
import math
import random
from dataclasses import dataclass

_DAY_S = 86_400.0
_KNOT_MS = 10_000
_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Metric:
    """How a metric behaves: around `base`, with a daily curve, wandering, drift over days and noise; kept in bounds."""

    name: str
    base: float
    daily: float
    wander: float
    noise: float
    low: float
    high: float
    peak_hour: float = 15.0
    drift: float = 0.0


KINDS: dict[str, tuple[Metric, ...]] = {
    "boiler": (
        Metric("water_temperature_celsius", 68, 6, 2.5, 0.15, 10, 95, 7, 1.5),
        Metric("pressure_bar", 1.8, 0.15, 0.06, 0.01, 0, 4, 7, 0.15),
        Metric("burner_percent", 45, 25, 12, 1.0, 0, 100, 7),
        Metric("flow_l_per_min", 18, 5, 2, 0.2, 0, 60, 8),
    ),
    "cold-store": (
        Metric("air_temperature_celsius", -19, 0.8, 0.9, 0.08, -40, 20, 16, 0.6),
        Metric("humidity_percent", 72, 4, 3, 0.5, 0, 100, 4),
        Metric("compressor_watt", 2400, 350, 450, 25, 0, 6000, 16, 90),
    ),
    "pump": (
        Metric("flow_m3_per_h", 42, 9, 2.5, 0.3, 0, 120, 11),
        Metric("pressure_bar", 5.2, 0.4, 0.15, 0.02, 0, 12, 11, 0.2),
        Metric("motor_current_ampere", 23, 4, 1.2, 0.15, 0, 80, 11, 0.8),
        Metric("vibration_mm_per_s", 2.1, 0.3, 0.25, 0.12, 0, 20, 11, 0.5),
    ),
    "weather": (
        Metric("temperature_celsius", 12, 6, 0.7, 0.05, -40, 50, 15, 4),
        Metric("humidity_percent", 65, 15, 3, 0.4, 0, 100, 5, 8),
        Metric("air_pressure_hpa", 1013, 1, 0.4, 0.05, 950, 1060, 10, 9),
        Metric("wind_m_per_s", 4, 1.8, 1.6, 0.5, 0, 45, 14, 1.5),
        Metric("solar_w_per_m2", 120, 420, 60, 4, 0, 1100, 13),
    ),
    "power-meter": (
        Metric("voltage_volt", 231, 2, 1.2, 0.25, 200, 260, 3),
        Metric("current_ampere", 14, 7, 3, 0.3, 0, 63, 19),
        Metric("power_watt", 3200, 1600, 650, 40, 0, 15000, 19, 150),
        Metric("frequency_hz", 50, 0.004, 0.02, 0.004, 49.5, 50.5, 12),
    ),
}
"""Kind of device -> its metrics."""


def device_name(number: int) -> str:
    """The name of simulated device `number` (from 1)."""
    return f"sim-{number:04d}"


def kind_of(number: int) -> str:
    """The kind of simulated device `number`: the kinds take turns."""
    return list(KINDS)[(number - 1) % len(KINDS)]


def device_token(secret: str, name: str) -> str:
    """The token of a simulated device: HMAC-SHA-256 of its name under the fleet's secret, hex."""
    return hmac.new(secret.encode(), name.encode(), hashlib.sha256).hexdigest()


class SimulatedDevice:
    """One device of the fleet."""

    def __init__(self, number: int, seed: int, most_metrics: int = 5) -> None:
        self.name = device_name(number)
        self.kind = kind_of(number)
        own = random.Random(f"{seed}/{self.name}")
        self._curves = [_Curve(metric, own) for metric in KINDS[self.kind][:most_metrics]]

    def measure(self, ts: int) -> dict[str, float]:
        """Metric -> value at `ts` (UTC epoch ms); the same for the same seed, device and time."""
        return {curve.metric.name: curve.at(ts) for curve in self._curves}


class _Curve:
    """One metric of one device, with its own level, phases and pace."""

    def __init__(self, metric: Metric, own: random.Random) -> None:
        self.metric = metric
        self._level = metric.base + own.uniform(-1, 1) * (metric.wander + metric.drift)
        self._peak_s = (metric.peak_hour + own.gauss(0, 0.7)) * 3_600
        self._phases = [own.uniform(0, 2 * math.pi) for _ in range(4)]
        self._pace = own.uniform(0.8, 1.25)
        self._salt = own.getrandbits(64)
        self._knots: dict[int, float] = {}

    def at(self, ts: int) -> float:
        metric = self.metric
        number, into = divmod(ts, _KNOT_MS)
        begin, end = self._knot(number), self._knot(number + 1)
        value = begin + (end - begin) * into / _KNOT_MS + metric.noise * _noise(self._salt ^ ts)
        return round(min(max(value, metric.low), metric.high), 3)

    def _knot(self, number: int) -> float:
        """The value without noise at a multiple of `_KNOT_MS`; between two of them the curve is a straight line."""
        found = self._knots.get(number)
        if found is None:
            if len(self._knots) > 1:
                del self._knots[min(self._knots)]
            found = self._knots[number] = self._smooth(number * _KNOT_MS)
        return found

    def _smooth(self, ts: int) -> float:
        metric, (slow, mid, quick, days) = self.metric, self._phases
        seconds = ts / 1_000
        turn = 2 * math.pi * seconds * self._pace
        wave = (
            0.5 * math.sin(turn / 2_700 + slow) + 0.3 * math.sin(turn / 420 + mid) + 0.2 * math.sin(turn / 61 + quick)
        )
        return (
            self._level
            + metric.daily * math.cos(2 * math.pi * (seconds - self._peak_s) / _DAY_S)
            + metric.wander * wave
            + metric.drift * math.sin(turn / (9 * _DAY_S) + days)
        )


def _noise(key: int) -> float:
    """A repeatable number in about [-2, 2], mean 0, variance 1/3: two uniform numbers of splitmix64, added."""
    key = (key + 0x9E3779B97F4A7C15) & _MASK
    key = ((key ^ (key >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    key = ((key ^ (key >> 27)) * 0x94D049BB133111EB) & _MASK
    key ^= key >> 31
    return ((key & 0xFFFFFFFF) + (key >> 32)) / 2**31 - 2
