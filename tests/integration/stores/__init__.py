"""The stores that sinks of `processed-data` write to, seen from outside: a module for each, named as that of its sink.

The contract of sinks (`tests/integration/test_sink_contract.py`) is played against every one. A module has a function
`open_store(request)`, called once a test, which gives a `Store` with help of the fixtures that servers come from.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager

from connectors.sinks.base import Sink


class Store(ABC):
    """One store, and one way to ask it what it holds."""

    latest_only: bool = False
    """True: of each series it keeps the row of the newest pane alone."""
    holds_rows_back: bool = False
    """True: rows of a rebuild wait in the sink's memory for their markers; False: the store has them, unshown."""

    keeps_log_time: bool = False
    """True: it knows how far each partition of the log has come through."""

    @abstractmethod
    def sink(self) -> Sink:
        """A new one that writes to it."""

    @abstractmethod
    def rows(self, tenant: str) -> dict[tuple[str, str, int], tuple[int, int, float]]:
        """(device, metric, pane) -> (generation, count, last), as readers are shown it."""

    @abstractmethod
    def refusing(self, tenant: str, device: str) -> AbstractContextManager[None]:
        """Meanwhile the store takes no row of this device: a flush that has one raises an outage."""

    def log_time(self, topic: str, partition: int) -> int | None:
        """The log time (epoch ms) that came through by beats; None if it keeps none."""
        return None

    def kill_connections(self) -> None:  # noqa: B027  # most have some
        """Breaks what the sinks are connected by; a store in this process has none."""

    def shown(self) -> int:
        """A generation that nothing in the store is above."""
        return 0
