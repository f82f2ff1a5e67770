"""The statements of sinks, from `sql/stores/postgres`; parameters are `$1`, `$2`, as in PostgreSQL itself."""

from __future__ import annotations

from importlib.resources import files
from typing import LiteralString


def load_sql(name: str, folder: str = "sink") -> LiteralString:
    """The text of a statement."""
    return (files("sql") / "stores" / "postgres" / folder / f"{name}.sql").read_text()
