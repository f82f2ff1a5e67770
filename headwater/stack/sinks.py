"""The sinks that the stack starts: every module of `connectors/sinks` that says what it is, in a `PROCESS` of its own.

    PROCESS = {"says": "rows into files", "depends": ("topics",)}

A module is read and not imported, as the stack starts programs and imports none.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.model.errors import StackError
from headwater.model.settings import project_folder

FOLDER = "connectors/sinks"
KNOWN = {"says": str, "depends": tuple, "beside": tuple}
_EXAMPLE = 'PROCESS = {"says": "rows into files", "depends": ("topics",)}'


@dataclass(frozen=True)
class SinkProcess:
    """One process of sinks, `python -m module`.

    `name` is that of its first sink, made of the file's: `sink-csv-files` of csv_files.py. `says` is what `status`
    shows, `depends` what is up before it (names of `headwater.stack.catalog`: topics, tables, postgres …), `beside`
    the names of further sinks that it runs.
    """

    name: str
    module: str
    says: str
    depends: tuple[str, ...]
    beside: tuple[str, ...] = ()

    @property
    def alive(self) -> tuple[str, ...]:
        """The names of all its sinks, each of which gives a sign of life."""
        return (self.name, *self.beside)


def found(folder: Path | None = None) -> list[SinkProcess]:
    """All of them, by name. Raises `StackError` if one does not say what it is, or not as it must."""
    paths = sorted((folder or project_folder() / FOLDER).glob("*.py"))
    return [one for one in map(_in, paths) if one is not None]


def _in(path: Path) -> SinkProcess | None:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and target.id == "PROCESS":
                return _checked(path, node.value)
    if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in body):
        raise _wrong(path, "a function main and no PROCESS")
    return None


def _checked(path: Path, node: ast.expr) -> SinkProcess:
    try:
        said: Any = ast.literal_eval(node)
    except ValueError:
        raise _wrong(path, f"{ast.unparse(node)}, which is not plain values") from None
    if not isinstance(said, dict) or not {"says", "depends"} <= said.keys() <= KNOWN.keys():
        raise _wrong(path, repr(said))
    for name, value in said.items():
        texts = value if isinstance(value, tuple) else (value,)
        if not isinstance(value, KNOWN[name]) or not all(isinstance(one, str) and one for one in texts):
            raise _wrong(path, f"{name} {value!r}")
    return SinkProcess(f"sink-{path.stem.replace('_', '-')}", f"connectors.sinks.{path.stem}", **said)


def _wrong(path: Path, came: str) -> StackError:
    return StackError(
        f"{FOLDER}/{path.name}: expected PROCESS with says (a text), depends and, if it runs further sinks, beside "
        f"(tuples of texts), got {came}.",
        f"write it as {_EXAMPLE}",
    )
