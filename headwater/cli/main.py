"""The `headwater` command: the one-machine stack, devices and jobs.

Each command's module is imported when it is called: all of them together take seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

_OWN = {
    **dict.fromkeys(("up", "down", "reset", "status", "doctor", "logs"), "stack"),
    **{name: name for name in ("chaos", "audit", "replay")},
}
"""Commands, and the module of `headwater.cli` that has a function of their name."""

_GROUPS = ("devices", "jobs", "log", "models", "rules", "sites", "sql", "tenants")
"""Modules of `headwater.cli` whose `app` is a group of commands."""


class Commands(TyperGroup):
    """All commands; imports only those that are asked for."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = dict.fromkeys((*_OWN, *_GROUPS))  # type: ignore[assignment]  # made by `get_command`

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002  # as typer calls it
        """The command or group of this name; None if there is none."""
        if cmd_name in _GROUPS:
            group = get_command(import_module(f"headwater.cli.{cmd_name}").app)
            group.name = cmd_name
            return group
        if cmd_name in _OWN:
            one = typer.Typer(add_completion=False)
            one.command(cmd_name)(getattr(import_module(f"headwater.cli.{_OWN[cmd_name]}"), cmd_name))
            return get_command(one)
        return None


app = typer.Typer(cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def headwater() -> None:
    """Headwater: live readings of many devices. `headwater up` starts everything on this machine."""
