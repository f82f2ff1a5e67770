"""What this machine can say of itself: CPU, load, memory, disk, network and temperatures, as named metrics."""

from __future__ import annotations

import re
import time
from typing import Any

import psutil

MAX_CORES = 32
"""Cores that get a metric of their own; a machine with more is described by its total and these."""


class Sensors:
    """Measures this machine; rates are over the time since the measurement before.

    What a platform does not offer (load on Windows, temperatures in a container) is left out.
    """

    def __init__(self) -> None:
        psutil.cpu_percent()
        psutil.cpu_percent(percpu=True)
        self._before = time.monotonic()
        self._counters = _counters()

    def measure(self) -> dict[str, float]:
        """Metric name (with its unit) -> value."""
        values: dict[str, float] = {"cpu_percent": psutil.cpu_percent()}
        for core, percent in enumerate(psutil.cpu_percent(percpu=True)[:MAX_CORES]):
            values[f"cpu_core_{core}_percent"] = percent
        if hasattr(psutil, "getloadavg"):
            values["load_1m"] = round(psutil.getloadavg()[0], 3)
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        values["memory_percent"] = memory.percent
        values["memory_used_bytes"] = float(memory.used)
        values["swap_percent"] = swap.percent
        values["swap_used_bytes"] = float(swap.used)
        values["disk_used_percent"] = psutil.disk_usage("/").percent
        values.update(self._rates())
        values.update(temperatures())
        return values

    def _rates(self) -> dict[str, float]:
        now, counters = time.monotonic(), _counters()
        passed = max(now - self._before, 1e-3)
        rates = {
            f"{name}_bytes_per_s": round(max(0, count - self._counters.get(name, count)) / passed, 1)
            for name, count in counters.items()
        }
        self._before, self._counters = now, counters
        return rates


def temperatures() -> dict[str, float]:
    """The machine's temperature sensors, `temperature_<chip>_<label>_celsius`."""
    read: Any = getattr(psutil, "sensors_temperatures", None)
    if read is None:
        return {}
    found: dict[str, float] = {}
    for chip, sensors in read().items():
        for index, sensor in enumerate(sensors):
            label = re.sub(r"[^a-z0-9]+", "_", f"{chip}_{sensor.label or index}".lower()).strip("_")
            if sensor.current is not None:
                found[f"temperature_{label}_celsius"] = float(sensor.current)
    return found


def _counters() -> dict[str, int]:
    counters: dict[str, int] = {}
    disk = psutil.disk_io_counters()
    if disk is not None:
        counters |= {"disk_read": disk.read_bytes, "disk_write": disk.write_bytes}
    network = psutil.net_io_counters()
    if network is not None:
        counters |= {"network_received": network.bytes_recv, "network_sent": network.bytes_sent}
    return counters
