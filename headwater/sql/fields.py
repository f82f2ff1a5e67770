"""The fields of a `.yml` that promises something: taken one by one, with a line for each that is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

Check = Callable[[dict[str, Any]], str | None]
"""What else is wrong with a row, beginning with "expected"."""


class Fields:
    """Takes fields out of a YAML mapping and notes what is wrong with each."""

    def __init__(self, kind: str, promise: dict[Any, Any], wrong: list[str]) -> None:
        self._kind, self._left, self._wrong = kind, dict(promise), wrong

    def text(self, name: str) -> str:
        """A text that says something."""
        return str(self._take(name, "a text", lambda value: isinstance(value, str) and bool(value.strip()), ""))

    def texts(self, name: str, wanted: str) -> list[str]:
        """At least one of them."""

        def fits(value: Any) -> bool:
            return isinstance(value, list) and bool(value) and all(isinstance(one, str) and one for one in value)

        return list(self._take(name, wanted, fits, []))

    def one_of(self, name: str, known: Sequence[str]) -> str:
        """One of some words."""
        return str(self._take(name, f"one of {', '.join(known)}", lambda value: value in known, known[0]))

    def number(self, name: str, least: int, most: int, default: int | None = None) -> int:
        """A whole number; without a default it must be there."""
        if default is not None:
            self._left.setdefault(name, default)

        def fits(value: Any) -> bool:
            return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

        return int(self._take(name, f"a whole number from {least} to {most}", fits, least))

    def rows(self, name: str, needed: set[str], known: dict[str, type], check: Check) -> tuple[dict[str, Any], ...]:
        """At least one row, each with the columns `needed`, of those `known`."""

        def fits(value: Any) -> bool:
            return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)

        rows: list[dict[str, Any]] = self._take(name, "a list of rows", fits, [])
        for number, row in enumerate(rows, 1):
            wrong = []
            if lacking := sorted(needed - row.keys()):
                wrong.append(f"expected {', '.join(lacking)}, it has none")
            if strange := sorted(map(str, row.keys() - known.keys())):
                wrong.append(f"expected columns of {', '.join(known)}, got {strange[0]}")
            for column, value in row.items():
                if known.get(column) in (int, float) and not _is_number(value):
                    wrong.append(f"expected a number in {column}, got {value!r}")
            if not wrong and (said := check(row)):
                wrong.append(said)
            self._wrong += [f"{name}, row {number}: {one}" for one in wrong]
        return tuple(rows)

    def no_others(self) -> None:
        """Notes what nobody has taken."""
        for name in self._left:
            self._wrong.append(f"{name}: not a field of a {self._kind}; is it spelled as the others are?")

    def _take(self, name: str, wanted: str, fits: Callable[[Any], bool], default: Any) -> Any:
        if name not in self._left:
            self._wrong.append(f"{name}: expected {wanted}, there is none")
            return default
        value = self._left.pop(name)
        if not fits(value):
            self._wrong.append(f"{name}: expected {wanted}, got {value!r}")
            return default
        return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
