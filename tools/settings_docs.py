"""Writes docs/settings.md from the settings classes, so that the page cannot drift from the code."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from headwater.model import settings
from headwater.stack import sinks

HEAD = """# Settings
Each process reads its settings from the environment; `run.env` in the state folder, which the stack writes at its
start, fills in what the environment does not say; the default is used last. This page is made from the code by
`make docs`.

"""
STACK = Path(__file__).resolve().parents[1] / "docs" / "settings-stack.md"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"


def default_text(value: object) -> str:
    """A default as a reader would type it; secrets have none worth showing."""
    if isinstance(value, SecretStr):
        shown = value.get_secret_value()
        return f"`{shown}`" if shown else "made at first start"
    return "" if value is PydanticUndefined else f"`{value}`"


def table(kind: type[settings.Settings], without: set[str]) -> str:
    """The settings that `kind` adds, as a Markdown table."""
    rows = []
    for name, field in kind.model_fields.items():
        if name not in without:
            meaning = (field.description or "").replace("|", "/")
            rows.append(f"| `HEADWATER_{name.upper()}` | {default_text(field.default)} | {meaning} |")
    title = (kind.__doc__ or kind.__name__).splitlines()[0].rstrip(".")
    return f"## {title}\n| setting | default | meaning |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"


def kinds(kind: type[settings.Settings], without: set[str]) -> Iterator[tuple[type[settings.Settings], set[str]]]:
    """Each class that adds settings, with the names of those that it does not add."""
    if set(kind.model_fields) - without:
        yield kind, without
    for child in kind.__subclasses__():
        yield from kinds(child, set(kind.model_fields))


def page() -> str:
    """The whole page."""
    for one in sinks.found():
        import_module(one.module)  # a sink may have settings of its own, beside it
    parts = [table(kind, without) for kind, without in kinds(settings.Settings, set())]
    stack = STACK.read_text() if STACK.is_file() else ""
    return HEAD + stack + ("\n" if stack else "") + "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
