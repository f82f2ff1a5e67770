"""The devices that the stack itself brings: this machine, and the simulated fleet, with their sites and models."""

from __future__ import annotations

from typing import Any

import psycopg

from headwater import registry
from headwater.cli import own_entries
from headwater.model.settings import AgentSettings, FleetSettings
from headwater.registry import search, store
from headwater.registry.entries import DEVICES, MODELS, SITES, Kind
from headwater.stack.state import State
from headwater.workers.fleet_model import device_name, device_token, kind_of


def register_own(state: State) -> str:
    """Registers both with the tokens that the stack made, and says what it did; safe to repeat.

    What an operator has changed stays: sites and models that exist are left alone, and a device gets a site, a model
    and tags only if it has neither site nor model.
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
    return f"{agent.agent_device} and {fleet.fleet_devices} simulated devices"


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
