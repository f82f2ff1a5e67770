"""What the stack decides once, at its first start, and keeps: ports, secrets, and which servers are not its own.

The folder (`HEADWATER_STATE`, default `.headwater`) has mode 0700. `state.json` is the stack's memory; `run.env` is
made from it at each start, and every process reads its settings from there.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from headwater.model.errors import StackError
from headwater.model.settings import state_folder
from headwater.stack.files import private_folder, write_private
from headwater.stack.ports import choose_ports

REPLACEABLE = ("kafka", "postgres", "valkey", "clickhouse", "mqtt", "flink")
"""Servers that a URL setting in the environment replaces by one of your own."""

SETTING_SECRETS = ("access_key", "bridge_password", "agent_token", "fleet_token")
"""Secrets that are settings of a process; the environment may give them."""

OWN_SECRETS = ("postgres", "valkey", "clickhouse", "supervisor")
"""Passwords of our own servers, by the server's name."""


@dataclass
class State:
    """The memory of one stack. `external` holds the URL of each server that is not started by us, by name.

    `generation` is that of the newest changed query (0: none yet).
    """

    folder: Path
    host: str = "127.0.0.1"
    ports: dict[str, int] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    external: dict[str, str] = field(default_factory=dict)
    cluster_id: str = ""
    generation: int = 0

    @classmethod
    def open(cls, folder: Path | None = None, environment: Mapping[str, str] = os.environ) -> State:
        """Reads the state, fills in what is missing, and writes it back with `run.env`. Safe to repeat."""
        folder = private_folder((folder or state_folder()).resolve())
        known = cls._read(folder)
        host = environment.get("HEADWATER_HOST") or "127.0.0.1"
        kept = known.get("secrets", {})
        state = cls(
            folder=folder,
            host=host,
            ports=choose_ports(host, known.get("ports", {}), environment),
            secrets={
                name: (name in SETTING_SECRETS and environment.get(f"HEADWATER_{name.upper()}"))
                or kept.get(name)
                or secrets.token_urlsafe(24)
                for name in (*SETTING_SECRETS, *OWN_SECRETS)
            },
            external={
                name: environment[f"HEADWATER_{name.upper()}"]
                for name in REPLACEABLE
                if environment.get(f"HEADWATER_{name.upper()}")
            },
            cluster_id=known.get("cluster_id") or secrets.token_urlsafe(16),
            generation=known.get("generation", 0),
        )
        state._write()
        return state

    @classmethod
    def load(cls, folder: Path | None = None) -> State:
        """The state as last written. Raises `StackError` if this stack was never started."""
        folder = (folder or state_folder()).resolve()
        known = cls._read(folder)
        if not known:
            raise StackError(f"No stack has been started in {folder}.", "run `make up` first.")
        return cls(folder=folder, **known)

    @staticmethod
    def _read(folder: Path) -> dict[str, Any]:
        try:
            known: dict[str, Any] = json.loads((folder / "state.json").read_text())
        except FileNotFoundError:
            return {}
        return known

    def remember(self, generation: int) -> None:
        """Keeps the generation of the rows that the job writes now, for every process that starts from here on."""
        if generation != self.generation:
            self.generation = generation
            self._write()

    def _write(self) -> None:
        kept = {
            name: getattr(self, name) for name in ("host", "ports", "secrets", "external", "cluster_id", "generation")
        }
        write_private(self.folder / "state.json", json.dumps(kept, indent=2))
        lines = [f"HEADWATER_{name}={value}" for name, value in self.settings().items()]
        write_private(self.folder / "run.env", "\n".join(lines) + "\n")

    @property
    def reach(self) -> str:
        """The host under which our own processes reach our servers."""
        return "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104  # compared, not bound

    def url(self, name: str) -> str:
        """The address of a server as its setting wants it, with credentials where there are any."""
        if name in self.external:
            return self.external[name]
        at = f"{self.reach}:{self.ports[name]}"
        secret = quote(self.secrets.get(name, ""), safe="")
        return {
            "kafka": at,
            "postgres": f"postgresql://headwater:{secret}@{at}/headwater",
            "valkey": f"redis://:{secret}@{at}/0",
            "clickhouse": f"http://headwater:{secret}@{at}/headwater",
            "mqtt": f"mqtt://{at}",
            "flink": f"http://{at}",
            "api": f"http://{at}",
        }[name]

    def settings(self) -> dict[str, str]:
        """What `run.env` tells every process, names without the prefix."""
        return {
            **{name.upper(): self.url(name) for name in (*REPLACEABLE, "api")},
            "HOST": self.host,
            "API_PORT": str(self.ports["api"]),
            "BROKER_PORT": str(self.ports["mqtt"]),
            "BRIDGE_METRICS_PORT": str(self.ports["bridge-metrics"]),
            "BROKER_METRICS_PORT": str(self.ports["broker-metrics"]),
            "CORRECTIONS_METRICS_PORT": str(self.ports["corrections-metrics"]),
            **({"GENERATION": str(self.generation)} if self.generation else {}),
            **{name.upper(): self.secrets[name] for name in SETTING_SECRETS},
        }

    def part(self, name: str) -> Path:
        """A folder of one program below the state folder, made if missing."""
        return private_folder(self.folder / name)
