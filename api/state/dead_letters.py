"""Counts dead letters by reason from the log itself, so that the figure outlives every process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
from confluent_kafka import Consumer, Message

from api.state.follow import Ends, Follower
from headwater.model.topics import DEAD_LETTER


class _Reason(msgspec.Struct):
    reason: str


_decoder = msgspec.json.Decoder(_Reason)
UNREADABLE = "unreadable"
"""Counted under this name: a record on the topic that is no dead letter."""


class DeadLetters:
    """Dead letters by reason, of all that the topic keeps (30 days) and of what comes."""

    def __init__(self, kafka: str) -> None:
        self._counts: Counter[str] = Counter()
        self._follower = Follower(kafka, DEAD_LETTER.name, self._begin, self._take)

    def start(self) -> None:
        """Begins to read, in a thread."""
        self._follower.start()

    def stop(self) -> None:
        """Ends the thread."""
        self._follower.stop()

    def counts(self) -> dict[str, int]:
        """Reason -> number, sorted by reason."""
        return dict(sorted(self._counts.copy().items()))

    def _begin(self, _: Consumer, ends: Ends) -> dict[int, int]:
        return {partition: low for partition, (low, _) in ends.items()}

    def _take(self, messages: Sequence[Message]) -> None:
        # Replaced whole, as the loop may read it at any moment.
        counts = self._counts.copy()
        for message in messages:
            if (value := message.value()) is not None:
                counts[_reason(value)] += 1
        self._counts = counts


def _reason(value: bytes | str) -> str:
    try:
        return _decoder.decode(value).reason
    except (msgspec.DecodeError, UnicodeDecodeError):
        return UNREADABLE
