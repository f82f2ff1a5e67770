"""A script cut into statements: at `;`, but not inside of quotes and comments."""

from __future__ import annotations

import re

_PART = re.compile(
    r"""
    (?P<comment> --[^\n]* | /\*.*?(?:\*/|\Z) )
  | (?P<quoted> '(?:[^']|'')*(?:'|\Z) | "(?:[^"]|"")*(?:"|\Z) | `(?:[^`]|``)*(?:`|\Z) )
  | (?P<end> ; )
  | (?P<text> [^-/'"`;]+ | . )
    """,
    re.S | re.X,
)


def statements(script: str) -> tuple[list[str], str]:
    """The whole statements of `script`, without `;` and comments, and what follows the last `;` (empty: nothing)."""
    found: list[str] = []
    parts: list[str] = []
    for match in _PART.finditer(script):
        if match.lastgroup == "end":
            if text := "".join(parts).strip():
                found.append(text)
            parts = []
        elif match.lastgroup == "comment":
            # A hint of Flink (/*+ OPTIONS(...) */) looks like a comment, and is none.
            parts.append(match[0] if match[0].startswith("/*+") else " ")
        else:
            parts.append(match[0])
    return found, "".join(parts).strip()
