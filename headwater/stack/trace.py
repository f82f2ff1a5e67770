"""What of a Java stack trace helps whoever asked."""

from __future__ import annotations

import re

_CAUSE = re.compile(r"^Caused by: ([\w.$]+)(?:: (.*?))?(?=\n\tat |\n\t\.\.\. |\nCaused by: |\Z)", re.M | re.S)
_FIRST = re.compile(r"([\w.$]+(?:Exception|Error))(?:: (.*?))?(?=\n\tat |\nCaused by: |\Z)", re.S)


def innermost(text: str) -> str:
    """The one line of a Java stack trace that helps: the innermost cause, or the last that names a place in the SQL."""
    causes = [(name, " ".join((said or "").split())) for name, said in _CAUSE.findall(text)]
    if not causes:
        first = _FIRST.search(text)
        causes = [(first[1], " ".join((first[2] or "").split()))] if first else [("", " ".join(text.split())[:500])]
    placed = [one for one in causes if re.search(r"line \d+, column \d+", one[1])]
    name, said = (placed or causes)[-1]
    short = name.rpartition(".")[2]
    said = re.sub(r"^SQL (validation|parse) failed\. ", "", said).partition(" Was expecting one of: ")[0]
    return f"{short}: {said}" if short and (not said or short in ("ArithmeticException",)) else said


def causes(text: str, characters: int = 400) -> str:
    """What all causes of a Java stack trace say, the outermost first, in a line: the last alone may name no place."""
    said: list[str] = []
    for _, words in _CAUSE.findall(text):
        line = " ".join((words or "").split())
        if line and not any(line in one or one in line for one in said):
            said.append(line)
    return ": ".join(one.rstrip(".:") for one in said)[:characters] or innermost(text)
