"""What an audit has found, and its verdict in one line."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.truth.balance import Minute
from headwater.truth.gaps import Gap


@dataclass
class Report:
    """What was found. `state` is balanced, gap, or waiting (a store is behind, or corrections are not done)."""

    state: str
    from_ms: int
    to_ms: int
    true_ms: int
    minutes: dict[tuple[str, int], Minute]
    gaps: list[Gap]
    waiting: list[Gap]
    messages: int = 0
    records: int = 0
    letters: int = 0
    unmarked: int = 0
    unreadable: int = 0
    seconds: float = 0.0
    behind: bool = False

    def total(self, name: str) -> int:
        """The sum of one figure over all minutes."""
        return sum(getattr(minute, name) for minute in self.minutes.values())

    @property
    def said(self) -> str:
        """The verdict in one line."""
        figures = (
            f"{self.total('readings'):,} readings = {self.total('readings') - self.total('duplicates'):,} first + "
            f"{self.total('duplicates'):,} duplicates; {self.messages:,} messages = {self.records:,} records and "
            f"{self.letters:,} dead letters"
        )
        if self.gaps:
            return f"{len(self.gaps)} gaps: {figures}"
        if self.waiting or self.behind:
            return (
                f"not settled ({'a store is behind' if self.behind else f'{len(self.waiting)} rows wait'}): {figures}"
            )
        return f"balanced: {figures}"
