"""Controls: the proofs of this folder against what ours must never be. Each must find the loss, or proves nothing."""

import random
import re
import time
import uuid
from pathlib import Path

import orjson
import pytest

from connectors.sinks.base import Sink
from tests.integration.mqtt_line import eventually, line, readings
from tests.integration.sinks import PostgresStore, Store, ValkeyStore, fresh_database, opened, row
from tests.integration.test_doors_under_stress import OwnKafka


@pytest.mark.parametrize("bridge", ["connectors.doors.mqtt", "tests.integration.early_bridge"])
def test_a_bridge_that_acknowledges_before_the_report_loses_readings(tmp_path: Path, postgres: str, bridge: str):
    kafka = OwnKafka(tmp_path / "kafka")
    kafka.start()
    try:
        with line(tmp_path / "line", kafka.url, postgres) as up:
            up.bridge = bridge
            up.up()
            client = up.device("d")
            kafka.freeze()
            first = time.time_ns() // 1_000_000 - 600_000
            for number in range(300):
                stamp = first + number
                client.publish(orjson.dumps({"ts": stamp, "values": {"n": stamp}}), ("d", "n", stamp))
            eventually(lambda: not client.unacknowledged(), "the broker has acknowledged all")
            eventually(lambda: "early" not in bridge or not up.metric("headwater_broker_queued"), "the bridge has all")
            up.kill("bridge")
            kafka.thaw()
            up.bridge = "connectors.doors.mqtt"
            up.start("bridge")
            eventually(lambda: up.metric("headwater_broker_queued") == 0, "the bridge has acknowledged all")
            lost = client.acknowledged - readings(up.all_packs()).keys()
            client.close()
    finally:
        kafka.end()
    assert bool(lost) == ("early" in bridge)


@pytest.fixture(params=["postgres", "valkey"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "postgres":
        return PostgresStore(fresh_database(request.getfixturevalue("postgres")))
    return ValkeyStore(request.getfixturevalue("valkey"))


def without_versions(sink: Sink) -> None:
    """Takes the rule of versions out of a connected sink: the last to come is what the store holds."""
    if hasattr(sink, "_upsert"):
        sink._upsert = re.sub(r"\(excluded\.generation, excluded\.count, .*?\) >= \(.*?\)", "true", sink._upsert)
        assert ">=" not in sink._upsert
    else:
        script = (Path(__file__).parents[2] / "connectors" / "sinks" / "latest.lua").read_text()
        blind = script.replace("if row[name] < held[name] then return false end", "")
        assert blind != script
        sink._latest = sink._client.script_load(blind)


@pytest.mark.parametrize("versions", [True, False])
def test_a_sink_without_versions_lets_a_replay_move_rows_backwards(store: Store, versions: bool):
    tenant = f"t{uuid.uuid4().hex[:8]}"
    partials = [row(tenant, "d", count=count, last=float(count)) for count in range(1, 20)]
    dice = random.Random(5)
    with opened(store) as sink:
        sink.positions()
        if not versions:
            without_versions(sink)
        for each in [*partials, *dice.sample(partials[:-1], len(partials) - 1)]:
            sink.write([each], {0: 1})
            sink.flush()
    held = next(iter(store.rows(tenant).values()))
    assert (held == (1, 19, 19.0)) is versions
