"""Rules for a numbered load, edited from round to round, and devices that are meant by them and then are not."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress

import psycopg

from headwater import rule_store
from headwater.model.rule import Draft, Range, Rate, Scope, Silence, Step, Threshold
from headwater.registry import store
from headwater.registry.entries import DEVICES

TAG = "watched"


def rules_at(number: int, shift: int) -> list[Draft]:
    """Rules that a load whose readings are numbered up to `number` will meet soon: each kind that a number can meet.

    `shift` tells one round's rules from those of the round before.
    """
    near = float(number + 100 + shift)
    steps = [Step(severity="critical", level=near + 300.0)]
    passing = Range(metric="m0", low=near, high=near + 200.0, when="inside", hold_ms=300)
    return [
        Draft(rule="passed", severity="minor", when=Threshold(metric="m1", above=near, escalate=steps)),
        Draft(rule="passing", severity="warning", when=passing, scope=Scope(tag=TAG)),
        Draft(rule="fast", severity="warning", when=Rate(metric="m0", above=80.0, over_ms=500)),
        Draft(rule="gone", severity="major", when=Silence(for_ms=1_000 + shift)),
    ]


def edit(url: str, tenant: str, devices: Sequence[str], number: int, rng: random.Random) -> None:
    """Edits the rules and retags a device, as operators do at any time. A PostgreSQL that is away is passed over."""
    with suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=5) as connection:
        rule_store.apply(connection, tenant, rules_at(number, rng.randrange(50)))
        tags = rng.choice([[], [TAG]])
        store.save(connection, DEVICES, tenant, rng.choice(devices), {"tags": tags}, merge=True)


def end(url: str, tenant: str) -> None:
    """Deletes the rules of a tenant."""
    with psycopg.connect(url) as connection:
        for rule in rule_store.newest(connection, tenant):
            rule_store.delete(connection, tenant, rule.rule)
