"""Sites and models of the devices that the stack itself brings."""

from __future__ import annotations

from typing import Any

from headwater.model.device import MetricOfModel
from headwater.workers.agent_sensors import Sensors
from headwater.workers.fleet_model import KINDS

MACHINE = "machine"
OFFICE = "office"
SITES: dict[str, dict[str, Any]] = {
    "north": {"title": "Plant north", "zone": "Europe/Berlin", "place": "Kiel, Germany"},
    "south": {"title": "Plant south", "zone": "Europe/Rome", "place": "Bologna, Italy"},
    OFFICE: {"title": "Where this runs", "zone": "UTC", "place": "this machine"},
}
_PLANTS = ("north", "south")
_UNITS = {
    "celsius": "°C",
    "percent": "%",
    "bar": "bar",
    "l_per_min": "l/min",
    "m3_per_h": "m³/h",
    "watt": "W",
    "volt": "V",
    "ampere": "A",
    "hz": "Hz",
    "hpa": "hPa",
    "mm_per_s": "mm/s",
    "m_per_s": "m/s",
    "w_per_m2": "W/m²",
    "bytes_per_s": "B/s",
    "bytes": "B",
}


def unit_of(metric: str) -> str:
    """The unit that a metric's name ends with; none where it names none."""
    ends = [end for end in _UNITS if metric.endswith(f"_{end}")]
    return _UNITS[max(ends, key=len)] if ends else ""


def plant_of(number: int) -> str:
    """The site of simulated device `number` (from 1): the first five are at one, the next at the other, and so on."""
    return _PLANTS[(number - 1) // len(KINDS) % len(_PLANTS)]


def models() -> dict[str, dict[str, Any]]:
    """Model -> its fields: the kinds of the simulated fleet, and this machine with what it can measure now."""
    machine = {
        name: MetricOfModel(unit=unit_of(name))
        if name.endswith("_celsius")
        else MetricOfModel(unit=unit_of(name), low=0.0, high=100.0 if name.endswith("_percent") else None)
        for name in Sensors().measure()
    }
    fleet = {
        kind: {
            "title": kind.replace("-", " ").capitalize(),
            "metrics": {
                metric.name: MetricOfModel(
                    unit=unit_of(metric.name), low=metric.low, high=metric.high, sensitivity=2 * metric.noise
                )
                for metric in metrics
            },
        }
        for kind, metrics in KINDS.items()
    }
    return {**fleet, MACHINE: {"title": "A computer", "metrics": dict(sorted(machine.items()))}}
