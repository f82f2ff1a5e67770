"""Python's cycle collector in processes that hold many rows.

A full collection walks every container that is alive. The API remembers 200,000 rows in 700,000 of them: half of its
CPU went into walks that found nothing, at 3,600 rows/s. In the broker JPype asks for full collections whenever Java has
collected (40 % of its CPU), and every CONNECT waits for them: there only a thread collects, now and then. Rows are
freed by their reference counts; cycles come from tracebacks and tasks, die young, and are still found by the two
younger generations.
"""

from __future__ import annotations

import gc
import threading
import time

LOOK_S = 60.0
LOOKS_UNTIL_FULL = 60


def collect_rarely() -> None:
    """Call once all is loaded: what is alive now is never walked again, and full collections become rare."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 500)


def collect_unasked() -> None:
    """The same where others ask for full collections: they are refused, and a thread collects: all once an hour."""
    collect_rarely()
    gc.disable()
    threading.Thread(target=_look_now_and_then, name="garbage", daemon=True).start()


def _look_now_and_then() -> None:
    looks = 0
    while True:
        time.sleep(LOOK_S)
        looks += 1
        gc.collect(1 if looks % LOOKS_UNTIL_FULL else 2)
