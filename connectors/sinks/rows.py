"""From the bytes of `processed-data` to rows that every store can represent."""

from __future__ import annotations

from headwater.model import codec
from headwater.model.errors import BadRecord
from headwater.model.pack import PANE_MS, Aggregate

_INT4 = 2**31
_INT8 = 2**63
_LAST_PANE = (
    32_503_680_000_000  # the year 3000: what lies beyond is no time of a reading, and no store needs to hold it
)


def row_of(value: bytes) -> Aggregate:
    """The row that `value` holds. Raises `BadRecord` if it is none, or one that no store can represent."""
    row = codec.decode(Aggregate, value)
    times = (row.first_ms, row.last_ms, row.as_of, row.received, row.count, row.dup)
    if min(times) < -_INT8 or max(times) >= _INT8 or not -_INT4 <= row.generation < _INT4:
        raise BadRecord(f"expected whole numbers of 64 bits and a generation of 32, got {row}")
    if row.pane % PANE_MS or not 0 <= row.pane < _LAST_PANE:
        raise BadRecord(f"expected a pane that starts at a multiple of {PANE_MS} ms, got {row.pane}")
    if "\x00" in row.tenant or "\x00" in row.device or "\x00" in row.metric:
        raise BadRecord("expected names without NUL")
    return row
