"""Events of devices on their way from HiveMQ's threads into the bridge's session.

They go where readings go: the bridge's persistent session, and from there to Kafka. So an outage of Kafka or the bridge
is survived by the same queue on disk, and an event stands before the readings that follow it. Only between a hook and
HiveMQ's queue do events lie in memory, for some milliseconds, and until the bridge has subscribed for the first time.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

import structlog
from prometheus_client import Counter

from headwater import registry
from headwater.clock import now_ms
from headwater.model.codec import VERSION, encode
from headwater.model.errors import HeadwaterError
from headwater.model.event import BROKER_TENANT, DeviceEvent, Kind

MOST_WAITING = 100_000
MOST_AT_ONCE = 200
REFUSAL_EVERY_S = 60.0
"""A device that is refused again and again makes one event in this time; the next one says how often it was."""

_REFUSALS_PER_S = 10
_REFUSED_REMEMBERED = 10_000
_RETRY_S = 0.5
_DROPPED = Counter("headwater_broker_events_dropped", "Events of devices that found no room in memory; an alarm")
_log = structlog.get_logger()

HandOver = Callable[[list[bytes]], int]
"""Takes events in their order; answers how many of them, from the first on, are in the bridge's session."""


class Events:
    """Takes events from the hooks at once (`tell` never waits), and hands them over in a thread of its own.

    Guarantee: what was told is in the bridge's session, in order, unless the process is killed within milliseconds, or
    more than `MOST_WAITING` wait for a bridge that has never subscribed; those are counted and logged. What is handed
    over twice has the same id.
    """

    def __init__(self, hand_over: HandOver, most: int = MOST_WAITING) -> None:
        self.refusals = Refusals(self.tell)
        self._hand_over = hand_over
        self._most = most
        self._waiting: deque[DeviceEvent] = deque()
        self._dropped_before = 0
        self._dropped = 0
        self._some = threading.Event()
        self._stopping = threading.Event()
        # Ascending over restarts: a broker makes fewer than a million connections a second.
        self._numbers = itertools.count(time.time_ns() // 1_000)
        self._thread = threading.Thread(target=self._run, name="events-of-devices", daemon=True)
        self._counting = threading.Lock()
        self._open = 0
        # Before any hook: whatever was connected before has ended, perhaps without a word.
        self.tell(
            DeviceEvent(
                v=VERSION,
                tenant=BROKER_TENANT,
                device="broker",
                kind=Kind.BROKER_STARTED.value,
                at=now_ms(),
                connection=self.number(),
            )
        )

    def start(self) -> None:
        """Begins to hand over."""
        self._thread.start()

    def stop(self, within_s: float = 5.0) -> None:
        """Waits for the ends of all connections, and hands over what waits, for at most so long."""
        until = time.monotonic() + within_s
        while (self._waiting or self._open > 0) and time.monotonic() < until:
            time.sleep(0.02)
        self._stopping.set()
        self._some.set()
        self._thread.join(5)
        if self._waiting:
            _log.error("events of devices were not handed over", events=len(self._waiting))

    def number(self) -> int:
        """The number of a new connection."""
        return next(self._numbers)

    def tell(self, event: DeviceEvent) -> None:
        """Takes an event, or counts it as dropped when there is no room. From any thread; never waits."""
        step = {Kind.CONNECTED.value: 1, Kind.DISCONNECTED.value: -1}.get(event.kind)
        if step is not None:
            with self._counting:
                self._open += step
        if len(self._waiting) >= self._most:
            self._dropped += 1
            _DROPPED.inc()
            return
        self._waiting.append(event)
        self._some.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._some.wait()
            self._some.clear()
            while self._waiting and not self._stopping.is_set():
                if not self._hand_some_over():
                    self._stopping.wait(_RETRY_S)

    def _hand_some_over(self) -> bool:
        """True if any event was taken."""
        # Hooks append meanwhile: to iterate would raise.
        batch = [self._waiting[place] for place in range(min(len(self._waiting), MOST_AT_ONCE))]
        try:
            taken = self._hand_over([encode(event) for event in batch])
        except Exception:
            # Java's exceptions are many, and none of them may end this thread: the events stay and are tried again.
            _log.exception("events of devices could not be handed over, trying again")
            return False
        for _ in range(taken):
            self._waiting.popleft()
        if self._dropped > self._dropped_before:
            _log.error("events of devices were dropped: no room", dropped=self._dropped)
            self._dropped_before = self._dropped
        return taken > 0


class Refusals:
    """Makes few events of many refused CONNECTs: one a minute for each device, ten a second for all."""

    def __init__(self, tell: Callable[[DeviceEvent], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()
        self._second, self._in_second = 0, 0

    def refused(self, tenant: str, device: str, event: Callable[[str], DeviceEvent]) -> None:
        """Tells `event(how often before)` unless it is too soon; names that no device may have make none."""
        try:
            registry.check_name(tenant, "tenant")
            registry.check_name(device, "device")
        except HeadwaterError:
            return
        now, key = self._clock(), (tenant, device)
        with self._lock:
            told_at, since = self._seen.pop(key, (float("-inf"), 0))
            soon = now - told_at < REFUSAL_EVERY_S or not self._room(int(now))
            self._seen[key] = (told_at, since + 1) if soon else (now, 0)
            if len(self._seen) > _REFUSED_REMEMBERED:
                self._seen.popitem(last=False)
        if not soon:
            self._tell(event(f"{since} more since the last event of this kind" if since else ""))

    def _room(self, second: int) -> bool:
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += 1
        return self._in_second <= _REFUSALS_PER_S
