"""What the plan of a job is made from: by it is known whether state fits, which is of one plan alone."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from headwater.model.errors import NotFound
from headwater.model.settings import JobSettings, project_folder
from headwater.stack.page import digest

ADDRESSES = {"kafka", "postgres", "clickhouse", "valkey", "mqtt", "flink", "api", "host"}
UNPLANNED = ADDRESSES | {"log_format", "parallelism", "outage_ms", "generation", "low_disk_mb", "checkpoint_s"}
"""Settings that do not change a plan."""

LISTS = {"TABLES": "sql/sources", "VIEWS": "sql/views", "SINKS": "sql/sinks"}
"""The lists in which a job names its SQL, and the folders of the files."""

CODE = ("jobs", "udfs")
"""Packages whose modules a plan is made by."""


def files(names: Iterable[str]) -> Iterator[Path]:
    """Every file of some folders of the project, in order."""
    for name in names:
        for path in sorted((project_folder() / name).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def names() -> list[str]:
    """The jobs that there are: the modules of `jobs` with a function `build`."""
    found = sorted((project_folder() / "jobs").glob("*.py"))
    return [path.stem for path in found if any(_is_build(node) for node in ast.parse(path.read_text()).body)]


def plan_digest(name: str, settings: JobSettings) -> str:
    """Changes when the plan of a job may have changed: its code, its SQL, or a setting that it is generated from."""
    shaping = {key: value for key, value in settings.model_dump(mode="json").items() if key not in UNPLANNED}
    text = name + digest(iter(sorted(planned(name))), project_folder()) + json.dumps(shaping, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def planned(name: str) -> set[Path]:
    """The files that the plan of a job is made from: its module, its environment, what these import of `CODE`, its SQL.

    Raises `NotFound` if there is no such job.
    """
    if name not in names():
        raise NotFound(f"expected a job, one of {', '.join(names())}, got {name!r}: see jobs/")
    found: set[Path] = set()
    todo = [project_folder() / "jobs" / f"{one}.py" for one in (name, "environment")]
    while todo:
        path = todo.pop()
        if path in found:
            continue
        found.add(path)
        if path.suffix == ".py":
            tree = ast.parse(path.read_text())
            todo += [*_imported(tree), *_statements(tree)]
    return found


def _is_build(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == "build"


def _imported(tree: ast.Module) -> Iterator[Path]:
    """The modules of `CODE` that a module imports, also inside of functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            dotted = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for one in dotted:
            path = project_folder() / f"{one.replace('.', '/')}.py"
            if one.split(".")[0] in CODE and path.is_file():
                yield path


def _statements(tree: ast.Module) -> Iterator[Path]:
    """The SQL that a job names in its lists."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            folder = LISTS.get(node.targets[0].id)
            if folder:
                yield from (project_folder() / folder / f"{one}.sql" for one in ast.literal_eval(node.value))
