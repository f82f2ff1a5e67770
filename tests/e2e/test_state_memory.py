"""What Flink's state has of memory on a running stack, as RocksDB itself says when it opens."""

import re

from tests.e2e.visiting import Stack

LEAST_BYTES = 300_000_000


def test_all_states_share_one_large_cache(stack: Stack) -> None:
    # Flink heeds this size only where managed memory is refused, and says nothing if it does not heed it.
    # Its log lies in the folder of logs, or with the state where the path is too long for a name.
    logs = [*(stack.folder / "logs").glob("*_db_LOG"), *(stack.folder / "tmp").rglob("db/LOG")]
    assert len(logs) > 10
    said = {int(size) for log in logs for size in re.findall(r"^\s+capacity : (\d+)", log.read_text(), re.MULTILINE)}
    assert said
    assert min(said) > LEAST_BYTES
