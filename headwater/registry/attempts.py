"""How often somebody may fail with provisioning keys, so that nobody keeps the registry busy with guesses."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

MOST = 20
EVERY_S = 60.0
_REMEMBERED = 10_000


class Attempts:
    """At most `MOST` failures of each address within a minute, counted from the first; success does not count.

    Kept in memory: each process counts for itself. The address that failed longest ago is forgotten first.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failed: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def exhausted(self, address: str) -> bool:
        """Whether the address has to wait."""
        since, count = self._failed.get(address, (0.0, 0))
        return count >= MOST and self._clock() - since < EVERY_S

    def failed(self, address: str) -> None:
        """Counts a failure."""
        now = self._clock()
        with self._lock:
            since, count = self._failed.pop(address, (now, 0))
            self._failed[address] = (since, count + 1) if now - since < EVERY_S else (now, 1)
            if len(self._failed) > _REMEMBERED:
                self._failed.popitem(last=False)
