"""What the evaluator remembers of a device, and nothing of rules that are gone. It goes to JSON and back unchanged."""

from __future__ import annotations

import msgspec

from headwater.model.rule import Severity


class Run(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How a device stands towards one rule on readings.

    `judged` is the newest event time seen: what comes later with an older one is passed over. `since` has for each
    level that the newest reading is beyond when that began, so it grows and shrinks with the level. `level` is 0 while
    no episode is open, else which level it has reached; `start` and `severity` are the episode's. `last_ts` and
    `last_value` are the reading that the next one is compared with (rate).
    """

    what: str
    version: int
    metric: str
    judged: int = -1
    since: list[int] = []
    level: int = 0
    start: int = 0
    severity: Severity = "indeterminate"
    last_ts: int = -1
    last_value: float = 0.0


class Pause(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How a device stands towards one rule on silence. All times are log time.

    `heard` is when something last came; `due` the last moment at which the pause is no alert; `start` is what an
    episode of this pause starts at; `open` is true while it is one.
    """

    what: str
    version: int
    metric: str
    heard: int
    due: int
    start: int
    severity: Severity
    open: bool = False


class State(msgspec.Struct, kw_only=True, omit_defaults=True):
    """All of a device: by rule, and `at`, the log time up to which it is true."""

    at: int = 0
    runs: dict[str, Run] = {}
    pauses: dict[str, Pause] = {}

    @property
    def empty(self) -> bool:
        """True if nothing is lost by forgetting it."""
        return not self.runs and not self.pauses

    @property
    def open(self) -> bool:
        """True while an episode is open: an edited rule closes it at the next item, so a tick now and then is due."""
        return any(run.level for run in self.runs.values()) or any(pause.open for pause in self.pauses.values())

    @property
    def wake(self) -> int | None:
        """The first log time at which a tick could raise something; None if none can."""
        dues = [pause.due for pause in self.pauses.values() if not pause.open]
        return min(dues) + 1 if dues else None


_decoder = msgspec.json.Decoder(State)


def dump(state: State) -> bytes:
    """The state as JSON."""
    return msgspec.json.encode(state)


def load(data: bytes) -> State:
    """The state that `dump` wrote."""
    return _decoder.decode(data)
