"""What the stack itself registers."""

import psycopg

from headwater import rule_store
from headwater.cli.own import register_own
from headwater.registry import search, store
from headwater.registry.entries import DEVICES, MODELS, SITES
from headwater.stack.state import State
from tests.integration.registry_log import own_database

RULES = ["cpu-busy", "disk-full", "machine-silent", "memory-full"]


def test_the_devices_of_the_stack_have_sites_and_models_and_keep_what_an_operator_changed(
    postgres, tmp_path, monkeypatch
):
    database = own_database(postgres)
    monkeypatch.setenv("HEADWATER_FLEET_DEVICES", "10")
    state = State.open(tmp_path, {"HEADWATER_PORTS": "free", "HEADWATER_POSTGRES": database})
    register_own(state)
    with psycopg.connect(database, autocommit=True) as conn:
        devices = {device.device: device for device in search.devices(conn, search.Wanted("demo"))}
        assert len(devices) == 11
        assert all(device.site and device.model and device.token == "good" for device in devices.values())
        assert devices["this-machine"].model == "machine"
        assert {device.site for device in devices.values()} == {"north", "south", "office"}
        moved = store.save(conn, DEVICES, "demo", "sim-0001", {"site": "south", "tags": []}, merge=True)
        named = store.save(conn, SITES, "demo", "north", {"title": "Kiel"}, merge=True)
        model = store.get(conn, MODELS, "demo", "boiler")
        assert [rule.rule for rule in rule_store.newest(conn, "demo")] == RULES
        rule_store.delete(conn, "demo", "cpu-busy")
        register_own(state)
        again = {device.device: device for device in search.devices(conn, search.Wanted("demo"))}
        assert again == {**devices, "sim-0001": moved}
        assert store.get(conn, SITES, "demo", "north") == named
        assert store.get(conn, MODELS, "demo", "boiler") == model
        assert [rule.rule for rule in rule_store.newest(conn, "demo")] == RULES[1:]
