"""What the evaluator is fed: readings of one metric, or the news that log time has moved on."""

from __future__ import annotations

from typing import NamedTuple

from headwater.model.pack import Pack
from headwater.model.rule import Value


class Slice(NamedTuple):
    """Readings of one metric of one record.

    `ts` are event times (epoch ms), strictly ascending; `values` has one value for each, all of one kind. `log_time` is
    the record's, `received` when the door had it (0: not known).
    """

    metric: str
    ts: list[int]
    values: list[float] | list[str] | list[bool]
    log_time: int
    received: int = 0

    @property
    def numeric(self) -> bool:
        """True if the values are numbers."""
        return not isinstance(self.values[0], str | bool)


class Tick(NamedTuple):
    """Log time has come this far (epoch ms), and nothing later has been held back."""

    log_time: int


Item = Slice | Tick


def slices(pack: Pack, log_time: int) -> list[Slice]:
    """The readings of a pack by metric: numbers first, then texts, then flags, each by name."""
    ts = [pack.pane + at for at in pack.at]
    found: list[Slice] = []
    for columns in (pack.metrics, pack.texts, pack.flags):
        values: dict[str, list[Value]] = columns  # type: ignore[assignment]  # each map holds lists of one kind
        found += [Slice(name, ts, values[name], log_time, pack.received) for name in sorted(values)]  # type: ignore[arg-type]
    return found
