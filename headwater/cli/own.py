"""What the stack itself brings: this machine with some rules, the simulated fleet, and their sites and models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from headwater import registry, rule_store
from headwater.cli import own_entries
from headwater.cli import rules as rules_file
from headwater.model.settings import AgentSettings, FleetSettings
from headwater.registry import search, store
from headwater.registry.entries import DEVICES, MODELS, SITES, Kind
from headwater.stack.state import State
from headwater.workers.fleet_model import device_name, device_token, kind_of

RULES = Path(__file__).with_name("own_rules.yml")


def register_own(state: State) -> str:
    """Registers all of it, devices with the tokens that the stack made, and says what it did; safe to repeat.

    What an operator has changed stays: sites and models that exist and rules that ever existed are left alone, and a
    device gets a site, a model and tags only if it has neither site nor model.
    """
    file = state.folder / "run.env"
    agent, fleet = AgentSettings(_env_file=file), FleetSettings(_env_file=file)
    secret = fleet.fleet_token.get_secret_value()
    numbers = range(1, fleet.fleet_devices + 1)
    with psycopg.connect(state.url("postgres")) as connection:
        for tenant in {agent.agent_tenant, fleet.fleet_tenant}:
            _make(connection, SITES, tenant, own_entries.SITES)
            _make(connection, MODELS, tenant, own_entries.models())
        registry.add_device(
            connection, agent.agent_tenant, agent.agent_device, agent.agent_token.get_secret_value(), "machine"
        )
        about = {"site": own_entries.OFFICE, "model": own_entries.MACHINE, "tags": ["computer"]}
        _describe(connection, agent.agent_tenant, {agent.agent_device: about})
        named = [(device_name(number), kind_of(number)) for number in numbers]
        registry.add_devices(
            connection,
            (registry.NewDevice(fleet.fleet_tenant, name, device_token(secret, name), kind) for name, kind in named),
        )
        _describe(connection, fleet.fleet_tenant, {device_name(number): _simulated(number) for number in numbers})
        _judge(connection, agent.agent_tenant)
    return f"{agent.agent_device} and {fleet.fleet_devices} simulated devices"


def _judge(connection: psycopg.Connection[Any], tenant: str) -> None:
    drafts = rules_file.read(RULES).rules
    rule_store.apply(connection, tenant, [one for one in drafts if not rule_store.exists(connection, tenant, one.rule)])


def _simulated(number: int) -> dict[str, Any]:
    return {"site": own_entries.plant_of(number), "model": kind_of(number), "tags": ["simulated"]}


def _make(connection: psycopg.Connection[Any], kind: Kind[Any], tenant: str, wanted: dict[str, dict[str, Any]]) -> None:
    for name, fields in wanted.items():
        if store.find(connection, kind, tenant, name) is None:
            store.save(connection, kind, tenant, name, fields)


def _describe(connection: psycopg.Connection[Any], tenant: str, wanted: dict[str, dict[str, Any]]) -> None:
    for device in search.devices(connection, search.Wanted(tenant)):
        about = wanted.get(device.device)
        if about is not None and device.site is None and device.model is None:
            tags = sorted({*device.tags, *about["tags"]})
            store.save(connection, DEVICES, tenant, device.device, {**about, "tags": tags}, merge=True)
