"""The devices that the stack itself brings: this machine, and the simulated fleet."""

from __future__ import annotations

import psycopg

from headwater import registry
from headwater.model.settings import AgentSettings, FleetSettings
from headwater.stack.state import State
from headwater.workers.fleet_model import device_name, device_token, kind_of


def register_own(state: State) -> str:
    """Registers both with the tokens that the stack made, and says what it did; safe to repeat."""
    file = state.folder / "run.env"
    agent, fleet = AgentSettings(_env_file=file), FleetSettings(_env_file=file)
    secret = fleet.fleet_token.get_secret_value()
    with psycopg.connect(state.url("postgres")) as connection:
        registry.add_device(
            connection, agent.agent_tenant, agent.agent_device, agent.agent_token.get_secret_value(), "machine"
        )
        for number in range(1, fleet.fleet_devices + 1):
            name = device_name(number)
            registry.add_device(connection, fleet.fleet_tenant, name, device_token(secret, name), kind_of(number))
    return f"{agent.agent_device} and {fleet.fleet_devices} simulated devices"
