"""Every change of the registry is on the log, in order, whatever happens to the worker."""

import json
import threading

import psycopg
import pytest

from headwater import outbox, registry
from headwater.model import codec
from headwater.model.device import Attributes, DeviceRecord, MetricOfModel
from headwater.model.topics import DEVICE_REGISTRY
from tests.integration.registry_log import firsts, own_database, reading, start_worker, until, worker


@pytest.fixture(scope="module")
def database(postgres: str) -> str:
    return own_database(postgres)


@pytest.fixture
def conn(database):
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection
        connection.execute("delete from device")
        connection.execute("delete from outbox")


def waiting(conn) -> list[DeviceRecord]:
    rows = [one for one in outbox.oldest(conn, 1_000) if one.topic == DEVICE_REGISTRY.name]
    return [codec.decode(DeviceRecord, one.value.encode()) for one in rows]


def test_a_record_is_whole_and_each_change_of_model_site_or_device_is_one(conn, tenant):
    conn.execute("insert into site (tenant, site, zone) values (%s, 'north', 'Europe/Berlin')", (tenant,))
    conn.execute(
        "insert into model (tenant, model, metrics) values (%s, 'pump', %s)",
        (tenant, json.dumps({"flow": {"unit": "l/min", "scale": 0.1, "low": 0, "high": None}})),
    )
    registry.add_device(conn, tenant, "a", "token", "pump")
    registry.add_device(conn, tenant, "b", "token")
    conn.execute(
        "update device set site = 'north', model = 'pump', tags = '{x,y}', attributes = %s where device = 'b'",
        (json.dumps({"server": {"serial": 7}}),),
    )
    conn.execute("update model set metrics = %s where tenant = %s", (json.dumps({"flow": {"unit": "m3/h"}}), tenant))
    conn.execute("update site set zone = 'UTC', title = 'North' where tenant = %s", (tenant,))
    conn.execute("update site set title = 'Far north' where tenant = %s", (tenant,))
    conn.execute("delete from device where tenant = %s and device = 'b'", (tenant,))
    records = waiting(conn)
    of_b = [record for record in records if record.device == "b"]
    assert [record.version for record in of_b] == sorted({record.version for record in of_b})
    first, assigned, other_model, other_zone, gone = of_b
    assert (first.site, first.model, first.metrics, first.tags) == (None, None, {}, [])
    assert (assigned.site, assigned.zone, assigned.model) == ("north", "Europe/Berlin", "pump")
    assert assigned.metrics == {"flow": MetricOfModel(unit="l/min", scale=0.1, low=0.0)}
    assert assigned.tags == ["x", "y"]
    assert assigned.attributes == Attributes(server={"serial": 7})
    assert other_model.metrics == {"flow": MetricOfModel(unit="m3/h")}
    assert other_zone.zone == "UTC"
    assert gone.deleted
    assert len([record for record in records if record.device == "a"]) == 1


def test_a_change_that_is_rolled_back_leaves_no_record(conn, tenant):
    with conn.transaction():
        registry.add_device(conn, tenant, "a", "token")
        assert len(waiting(conn)) == 1
        raise psycopg.Rollback
    assert waiting(conn) == []


def test_a_killed_worker_loses_nothing_and_keeps_the_order_of_each_device(conn, database, kafka, tenant, tmp_path):
    names = [f"d{number}" for number in range(8)]
    for name in names:
        registry.add_device(conn, tenant, name, "token")
    written = threading.Thread(target=change_often, args=(database, tenant, names, 150))
    process = start_worker(tmp_path, kafka, database)
    try:
        with reading(kafka, tenant) as records:
            until(records, lambda found: len(found) >= len(names), "the worker publishes")
            written.start()
            for some in (200, 600):
                until(records, lambda found, some=some: len(found) >= some, "it publishes on")
                process.kill()
                process.wait()
                process = start_worker(tmp_path, kafka, database)
            written.join()
            expected = dict(conn.execute("select device, version from device where tenant = %s", (tenant,)).fetchall())
            until(records, lambda found: expected == {r.device: r.version for r in found}, "the newest of each is last")
            found = records()
    finally:
        process.kill()
        process.wait()
    for device, versions in firsts(found).items():
        assert versions == sorted(versions), device
        assert len(versions) == 151, device


def change_often(database: str, tenant: str, names: list[str], times: int) -> None:
    with psycopg.connect(database, autocommit=True) as conn:
        for number in range(times):
            for name in names:
                conn.execute(
                    "update device set tags = array[%s] where tenant = %s and device = %s", (str(number), tenant, name)
                )


def test_what_has_not_changed_is_published_again(conn, database, kafka, tenant, tmp_path):
    registry.add_device(conn, tenant, "a", "token")
    (tmp_path / "heartbeats").mkdir()
    with worker(tmp_path, kafka, database, registry_republish_ms=1_000), reading(kafka, tenant) as records:
        until(records, lambda found: len(found) >= 4, "it comes again and again")
        assert len({record.version for record in records()}) == 1
        assert len({record.changed_ms for record in records()}) == 1
    assert (tmp_path / "heartbeats" / "registry").is_file()
