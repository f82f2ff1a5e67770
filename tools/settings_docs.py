"""Writes docs/settings.md from the settings classes, so that the page cannot drift from the code."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from headwater.model import settings

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


def page() -> str:
    """The whole page."""
    shared = set(settings.Settings.model_fields)
    parts = [table(settings.Settings, set())]
    parts += [table(kind, shared) for kind in settings.Settings.__subclasses__()]
    stack = STACK.read_text() if STACK.is_file() else ""
    return HEAD + stack + ("\n" if stack else "") + "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
