"""Which port each server of the stack listens on: the one that it likes best, or a free one."""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Mapping

from headwater.model.errors import StackError

PREFERRED = {
    "api": 8000,
    "mqtt": 1883,
    "kafka": 9092,
    "kafka-controller": 9093,
    "flink": 8081,
    "flink-rpc": 6123,
    "sql-gateway": 8083,
    "postgres": 5433,
    "valkey": 6380,
    "clickhouse": 8123,
    "supervisor": 9001,
    "bridge-metrics": 9101,
    "broker-metrics": 9102,
    "corrections-metrics": 9103,
}
"""The port that each server likes best; a setting `HEADWATER_<NAME>_PORT` overrides it."""

FREE_PORTS = "10000-31999"
"""Where free ports are looked for: below those that systems hand out themselves (RFC 6335; Linux from 32768 on).

Between the choice of a port and its use minutes may pass, in which the system would hand it out again.
"""

_given = set[int]()


def is_free(host: str, port: int) -> bool:
    """True if a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host: str = "127.0.0.1", taken: frozenset[int] = frozenset()) -> int:
    """A free port of `HEADWATER_FREE_PORTS` that is not in `taken`, and that this process was not given before.

    Raises `StackError` if that setting is no range, or holds no free port.
    """
    ports = _range(os.environ.get("HEADWATER_FREE_PORTS") or FREE_PORTS)
    begin = secrets.randbelow(len(ports))
    for step in range(len(ports)):
        port = ports[(begin + step) % len(ports)]
        if port not in taken and port not in _given and is_free(host, port):
            _given.add(port)
            return port
    raise StackError(
        f"No port from {ports[0]} to {ports[-1]} is free on {host}.", "set HEADWATER_FREE_PORTS to another range."
    )


def _range(said: str) -> range:
    found = re.fullmatch(r"(\d+)-(\d+)", said.strip())
    ports = range(int(found[1]), int(found[2]) + 1) if found else range(0)
    if not ports or ports[0] < 1 or ports[-1] > 65_535:
        raise StackError(
            f"HEADWATER_FREE_PORTS: expected FROM-TO within 1-65535, got {said!r}.", f"for example {FREE_PORTS}."
        )
    return ports


def choose_ports(host: str, known: Mapping[str, int], environment: Mapping[str, str]) -> dict[str, int]:
    """Every port by name: the one that a setting names, else the one of last time, else the preferred one if free."""
    ports: dict[str, int] = {}
    all_free = environment.get("HEADWATER_PORTS") == "free"
    for name, preferred in PREFERRED.items():
        given = environment.get(f"HEADWATER_{name.upper().replace('-', '_')}_PORT")
        if given:
            ports[name] = int(given)
        elif name in known:
            ports[name] = known[name]
        elif not all_free and preferred not in ports.values() and is_free(host, preferred):
            ports[name] = preferred
        else:
            ports[name] = free_port(host, frozenset((*ports.values(), *known.values(), *PREFERRED.values())))
    return ports
