"""Help while one types into the console: Tab completes, and what was typed is there the next time."""

from __future__ import annotations

import readline
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headwater.cli.sql_console import completions
from headwater.stack.files import write_private

HISTORY = "sql_history"
HISTORY_LINES = 2_000
DELIMITERS = " \t\n()=<>+-*/,;`'\""
"""What ends a word. A dot is part of one (`headwater.from`), and so is a backslash (`\\d`)."""


@contextmanager
def helped(folder: Path) -> Iterator[None]:
    """Lines that are asked for in the block have both. The history is a private file of `folder`."""
    history = folder / HISTORY
    if not history.is_file():
        write_private(history, "")
    readline.clear_history()
    readline.read_history_file(history)
    readline.set_history_length(HISTORY_LINES)
    readline.set_completer_delims(DELIMITERS)
    readline.set_completer(_completed)
    readline.parse_and_bind("tab: complete")
    try:
        yield
    finally:
        readline.set_completer(None)
        readline.write_history_file(history)


def _completed(text: str, place: int) -> str | None:
    """The word at `place` of those that `text`, where the cursor is, may become; None after the last."""
    found = completions(readline.get_line_buffer()[: readline.get_endidx()], text)
    return found[place] if place < len(found) else None
