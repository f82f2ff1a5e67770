"""This machine and the simulated fleet as devices of a real broker."""

import subprocess
import sys
import time
from collections.abc import Iterator

import psycopg
import pytest

from headwater import registry
from headwater.workers.fleet_model import KINDS, SimulatedDevice, device_token, kind_of
from tests.integration.mqtt_line import Line, eventually, line, readings

DEVICES = 10


@pytest.fixture
def up(tmp_path, kafka, postgres) -> Iterator[Line]:
    with line(tmp_path / "line", kafka, postgres) as made:
        made.env |= {
            "HEADWATER_AGENT_TENANT": made.tenant,
            "HEADWATER_AGENT_TOKEN": "agent-token",
            "HEADWATER_AGENT_EVERY_MS": "200",
            "HEADWATER_FLEET_TENANT": made.tenant,
            "HEADWATER_FLEET_TOKEN": "fleet-secret",
            "HEADWATER_FLEET_DEVICES": str(DEVICES),
            "HEADWATER_FLEET_EVERY_MS": "200",
            "HEADWATER_FLEET_PACK": "2",
        }
        with psycopg.connect(postgres) as conn:
            registry.add_device(conn, made.tenant, "this-machine", "agent-token")
            for device in (SimulatedDevice(number, 7) for number in range(1, DEVICES + 1)):
                registry.add_device(conn, made.tenant, device.name, device_token("fleet-secret", device.name))
        made.up()
        yield made


def start(up: Line, worker: str) -> None:
    with (up.folder / f"{worker}.log").open("ab") as log:
        up.running[worker] = subprocess.Popen(
            [sys.executable, "-m", f"headwater.workers.{worker}"], env=up.environment(), stdout=log, stderr=log
        )


def test_the_agent_keeps_what_it_measured_while_the_broker_was_dead(up):
    start(up, "agent")
    packs = up.packs(lambda packs: len(packs) > 3)
    measured = {metric for _, metric, _ in readings(packs)}
    assert {"cpu_percent", "cpu_core_0_percent", "memory_percent", "memory_used_bytes", "disk_used_percent"} <= measured
    up.kill("broker")
    dead_from = time.time_ns() // 1_000_000
    time.sleep(5)
    up.start("broker")
    dead_until = time.time_ns() // 1_000_000

    def caught_up(packs) -> bool:
        stamps = {ts for _, metric, ts in readings(packs) if metric == "cpu_percent"}
        return any(ts > dead_until for ts in stamps) and any(dead_from < ts < dead_until for ts in stamps)

    up.packs(caught_up)
    assert up.stop("agent") == 0


def test_the_fleet_measures_by_its_seed_and_comes_back_after_the_broker_was_killed(up):
    start(up, "fleet")
    everyone = {SimulatedDevice(number, 7).name for number in range(1, DEVICES + 1)}
    assert {kind_of(number) for number in range(1, DEVICES + 1)} == set(KINDS)
    packs = up.packs(lambda packs: {pack.device for pack in packs} == everyone)
    for (device, metric, ts), value in readings(packs).items():
        assert SimulatedDevice(int(device[4:]), 7).measure(ts)[metric] == value
    up.kill("broker")
    up.start("broker")
    again = time.time_ns() // 1_000_000
    up.packs(lambda packs: {pack.device for pack in packs if pack.pane + pack.at[0] > again} == everyone)
    assert up.stop("fleet") == 0
    assert eventually(lambda: '"event": "stopped"' in up.log("fleet"), "it says goodbye")
