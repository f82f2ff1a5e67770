"""Kills one process after another under load, and shows that every acknowledged reading is counted once.

    python -m bench.kills --rounds 20 --target bridge --target broker
    python -m bench.kills --rounds 5                    # every target in turn

Needs a running stack (`make up`). Each round: load runs, the process gets SIGKILL at a random moment, and must be
healthy again under a new pid. At the end the load stops, all is acknowledged, and the rows in PostgreSQL must be those
of the plain reference: the same keys, counts, sums, extremes and last values; the latest values in Valkey must be the
newest rows. Exit code 1 on any difference.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import psycopg
import redis

from headwater import registry
from headwater.model.settings import Settings
from headwater.model.stores import LEVEL, latest_key
from headwater.stack import catalog
from headwater.stack.program import why_not_ready
from headwater.stack.state import State
from headwater.stack.supervise import Supervisor
from headwater.truth.load import NumberedLoad, Shape
from headwater.truth.reference import Expected, fold_readings, rows_differ

TARGETS = (
    "bridge",
    "broker",
    "kafka",
    "taskmanager",
    "postgres",
    "valkey",
    "sink-postgres",
    "sink-valkey",
    "jobmanager",
    "api",
    "pulse",
)
TENANT = "kills"


def healthy_pid(state: State, name: str) -> int | None:
    """The pid of a program if it runs and its probe is content, else None."""
    running = Supervisor(state).programs().get(name)
    program = next(one for one in catalog.programs(state) if one.name == name)
    return running.pid if running and running.state == "RUNNING" and not why_not_ready(program.probe) else None


def kill_once(state: State, name: str) -> float:
    """SIGKILL to `name`; returns the seconds until it is healthy under a new pid. Raises TimeoutError after 180 s."""
    begun = time.monotonic()
    while (before := healthy_pid(state, name)) is None and time.monotonic() - begun < 180:
        time.sleep(0.2)
    if before is None:
        raise TimeoutError(f"{name} is not healthy before it was killed: see `headwater status`")
    os.kill(before, signal.SIGKILL)
    begun = time.monotonic()
    while time.monotonic() - begun < 180:
        time.sleep(0.2)
        if healthy_pid(state, name) not in (before, None):
            return time.monotonic() - begun
    raise TimeoutError(f"{name} was killed and is not healthy again after 180 s")


@dataclass
class Outcome:
    """What a run found."""

    kills: dict[str, int] = field(default_factory=dict)
    readings: int = 0
    unacknowledged: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0
    valkey_wrong: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """True if nothing was lost, doubled or changed."""
        return not (self.unacknowledged or self.missing or self.extra or self.different or self.valkey_wrong)


def stored_rows(connection: psycopg.Connection[Any], tenant: str) -> dict[tuple[str, str, str, int], Expected]:
    """The rows of the finest level, by key."""
    table = LEVEL["10s"].table
    rows = connection.execute(
        f"select tenant, device, metric, (extract(epoch from pane) * 1000)::bigint, count, sum, sum_sq, min, max, "
        f"first_ms, last_ms, last from {table} where tenant = %s",
        (tenant,),
    )
    return {tuple(row[:4]): Expected(*row[4:]) for row in rows}


def wait_for_rows(url: str, tenant: str, expected: dict[Any, Expected], timeout_s: float) -> tuple[Any, ...]:
    """Polls the store until its rows are the expected ones, or time is up; returns the last difference."""
    until = time.monotonic() + timeout_s
    while True:
        try:
            with psycopg.connect(url) as connection:
                difference = rows_differ(expected, stored_rows(connection, tenant))
        except psycopg.OperationalError:
            difference = None
        if (difference and not any(difference)) or time.monotonic() > until:
            return difference or ([], [], [])
        time.sleep(2)


def valkey_wrong(url: str, tenant: str, expected: dict[Any, Expected]) -> int:
    """How many series have another latest value in Valkey than the reference."""
    newest: dict[tuple[str, str], tuple[int, Expected]] = {}
    for (_, device, metric, pane), row in expected.items():
        if pane >= newest.get((device, metric), (-1, row))[0]:
            newest[device, metric] = (pane, row)
    client = redis.Redis.from_url(url, protocol=2)
    wrong = 0
    for (device, metric), (pane, row) in newest.items():
        raw = client.hget(latest_key(tenant, device), metric)
        got = json.loads(raw) if raw else {}
        wrong += (got.get("pane"), got.get("count"), got.get("last")) != (pane, row.count, row.last)
    return wrong


def take_a_row_away(url: str, tenant: str) -> None:
    """The control: a loss that the comparison must find."""
    table = LEVEL["10s"].table
    with psycopg.connect(url) as connection:
        connection.execute(
            f"delete from {table} where (tenant, device, metric, pane) = "
            f"(select tenant, device, metric, pane from {table} where tenant = %s order by pane limit 1)",
            (tenant,),
        )


def run(given: argparse.Namespace, shape: Shape, tenant: str) -> Outcome:
    """The whole trial; see the module's docstring."""
    settings, state, rng, outcome = Settings(), State.load(), random.Random(given.seed), Outcome()
    url = settings.postgres.get_secret_value()
    names = [f"load-{given.seed}-{i:04d}" for i in range(shape.devices)]
    with psycopg.connect(url) as connection:
        registry.add_tenant(connection, tenant)
        tokens = {name: registry.new_token() for name in names}
        for name, token in tokens.items():
            registry.add_device(connection, tenant, name, token)
    load = NumberedLoad(settings.mqtt, tenant, tokens, shape)
    load.start()
    try:
        until = time.monotonic() + given.minutes * 60
        for target in (given.target or list(TARGETS)) * given.rounds:
            if time.monotonic() < until:
                time.sleep(rng.uniform(0.5, 3.0))
                seconds = kill_once(state, target)
                outcome.kills[target] = outcome.kills.get(target, 0) + 1
                print(f"killed {target}: healthy again after {seconds:.1f} s", flush=True)
        time.sleep(rng.uniform(0.5, 3.0))
    finally:
        outcome.unacknowledged = load.stop()
    expected = fold_readings(load.readings())
    outcome.readings = sum(row.count for row in expected.values())
    missing, extra, different = wait_for_rows(url, tenant, expected, timeout_s=180)
    if given.control:
        take_a_row_away(url, tenant)
        missing, extra, different = wait_for_rows(url, tenant, expected, timeout_s=0)
    outcome.missing, outcome.extra, outcome.different = len(missing), len(extra), len(different)
    outcome.examples = [str(one) for one in (*missing[:3], *extra[:3], *different[:3])]
    outcome.valkey_wrong = valkey_wrong(settings.valkey.get_secret_value(), tenant, expected)
    return outcome


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", action="append", choices=TARGETS, help="process to kill (repeatable; default: all)")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60, help="no more kills after this time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--devices", type=int, default=20)
    parser.add_argument("--tenant", default=None, help="tenant of the load (default: one of its own per seed)")
    parser.add_argument("--control", action="store_true", help="take a stored row away at the end: the trial must fail")
    given = parser.parse_args()
    tenant = given.tenant or f"{TENANT}-{given.seed}"
    outcome = run(given, Shape(devices=given.devices), tenant)
    print(json.dumps({**outcome.__dict__, "good": outcome.good}, indent=2))
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main())
