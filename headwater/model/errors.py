"""Every error Headwater raises on purpose, in one tree.

    HeadwaterError
    ├── Refused            a reading or message that a door does not take (becomes a dead letter)
    ├── BadRecord          a Kafka record that is not what its topic promises
    ├── BadRequest         a question the API cannot answer as asked
    │   └── BadFields      something written by people, with a message for each field that is wrong
    ├── Conflict           somebody else has changed it since it was read
    ├── NotFound           a device, metric or tenant that is not there
    └── StackError         a server that cannot be started or reached

A message says what was expected, what came, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class HeadwaterError(Exception):
    """Base of the tree: catch this to catch every error raised on purpose."""


class Refused(HeadwaterError):
    """A reading or message that a door does not take; it becomes a dead letter with `reason`.

    `reason` is one of `headwater.model.pack.REASONS`; `detail` says what was expected, what came, what to do.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class BadRecord(HeadwaterError):
    """A Kafka record that is not what its topic promises."""


class BadRequest(HeadwaterError):
    """A question that cannot be answered as asked; `field` names the parameter at fault."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Fault(NamedTuple):
    """What is wrong with one field: its place, and what was expected, what came, what to do."""

    field: str
    message: str


class BadFields(BadRequest):
    """Something written by people that is refused whole; `faults` has each field that is wrong."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(f"{fault.field or 'it'}: {fault.message}" for fault in faults), faults[0].field)
        self.faults = list(faults)


class Conflict(HeadwaterError):
    """Something was changed since the caller read it; nothing was done."""


class NotFound(HeadwaterError):
    """What was asked for does not exist."""


class StackError(HeadwaterError):
    """A server that cannot be started or reached; `fix` says what the operator can do."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message if not fix else f"{message} Fix: {fix}")
        self.fix = fix
