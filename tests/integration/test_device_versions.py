"""What a device was, in PostgreSQL: a version for each record of a change, and none for one that is published again."""

import json

import psycopg
import pytest
from typer.testing import CliRunner

from headwater import outbox
from headwater.cli.main import app
from headwater.model import codec
from headwater.model.device import DeviceRecord, MetricOfModel
from headwater.model.errors import NotFound
from headwater.model.topics import DEVICE_REGISTRY
from headwater.registry import files, history, records, store
from headwater.registry.entries import DEVICES, MODELS, SITES
from tests.integration.registry_log import own_database


@pytest.fixture(scope="module")
def database(postgres: str) -> str:
    return own_database(postgres)


@pytest.fixture
def conn(database):
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def published(conn, tenant: str, device: str) -> list[DeviceRecord]:
    rows = [one for one in outbox.oldest(conn, 10_000) if one.topic == DEVICE_REGISTRY.name]
    return [codec.decode(DeviceRecord, one.value.encode()) for one in rows if one.key == f"{tenant}/{device}"]


def change_in_every_way(conn, tenant: str) -> None:
    store.save(conn, SITES, tenant, "north", {})
    store.save(conn, MODELS, tenant, "pump", {})
    store.save(conn, DEVICES, tenant, "d", {})
    store.save(conn, DEVICES, tenant, "d", {"site": "north", "model": "pump", "tags": ["x"]}, merge=True)
    store.save(conn, SITES, tenant, "north", {"zone": "Europe/Rome"})
    store.save(conn, MODELS, tenant, "pump", {"metrics": {"flow": MetricOfModel(unit="l/min", scale=0.1)}})
    files.load(conn, DEVICES, files.read("device,server.serial\nd,007\n", files.Format.CSV, DEVICES, tenant))
    store.remove(conn, DEVICES, tenant, "d")
    store.save(conn, DEVICES, tenant, "d", {"kind": "again"})


def test_every_change_is_a_version_as_it_was_published_also_a_deletion(conn, tenant):
    change_in_every_way(conn, tenant)
    found = history.versions(conn, tenant, "d")
    assert found == published(conn, tenant, "d")
    assert [(one.site, one.zone, one.model, one.deleted) for one in found] == [
        (None, None, None, False),
        ("north", "UTC", "pump", False),
        ("north", "Europe/Rome", "pump", False),
        ("north", "Europe/Rome", "pump", False),
        ("north", "Europe/Rome", "pump", False),
        (None, None, None, True),
        (None, None, None, False),
    ]
    assert found[3].metrics == {"flow": MetricOfModel(unit="l/min", scale=0.1)}
    assert found[4].attributes.server == {"serial": "007"}
    rows = conn.execute(
        "select version, deleted, (extract(epoch from changed) * 1000)::bigint from device_version"
        " where tenant = %s and device = 'd' order by version",
        (tenant,),
    ).fetchall()
    assert rows == [(one.version, one.deleted, one.changed_ms) for one in found]


def test_what_is_published_again_or_changes_nothing_is_no_version(conn, tenant):
    made = store.save(conn, DEVICES, tenant, "d", {"kind": "p"})
    for _ in range(3):
        records.republish(conn, records.BEGIN, 500)
        store.save(conn, DEVICES, tenant, "d", {"kind": "p"}, merge=True)
    assert [one.version for one in published(conn, tenant, "d")] == [made.version] * 4
    assert [one.version for one in history.versions(conn, tenant, "d")] == [made.version]


def test_a_change_that_is_rolled_back_is_no_version(conn, tenant):
    store.save(conn, DEVICES, tenant, "d", {})
    with conn.transaction():
        store.save(conn, DEVICES, tenant, "d", {"kind": "q"})
        assert len(history.versions(conn, tenant, "d")) == 2
        raise psycopg.Rollback
    assert [one.kind for one in history.versions(conn, tenant, "d")] == [""]


def test_pages_give_each_version_once_and_a_device_that_never_was_is_not_found(conn, tenant):
    change_in_every_way(conn, tenant)
    everything, found, after = history.versions(conn, tenant, "d"), [], 0
    while page := history.versions(conn, tenant, "d", after, 3):
        assert len(page) <= 3
        found += page
        after = page[-1].version
    assert found == everything
    assert len(found) == 7
    for start in (0, 5):
        with pytest.raises(NotFound, match="got 'dd'; near names: d"):
            history.versions(conn, tenant, "dd", start)


def test_the_command_says_what_each_version_has_changed(database, conn, tenant, monkeypatch, tmp_path):
    monkeypatch.setenv("HEADWATER_POSTGRES", database)
    monkeypatch.setenv("HEADWATER_STATE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    change_in_every_way(conn, tenant)
    versions = history.versions(conn, tenant, "d")

    def run(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, ["devices", "versions", *words])
        assert done.exit_code == code, done.output
        return done.output

    said = run(tenant, "d")
    for line in (
        "site: - → north",
        'tags: - → ["x"]',
        "zone: UTC → Europe/Rome",
        "metrics.flow.unit: - → l/min",
        "attributes.server.serial: - → 007",
        "kind: again",
    ):
        assert line in said
    assert [line.split()[0] for line in said.splitlines() if not line.startswith(" ")] == [
        str(one.version) for one in versions
    ]
    assert [line.split(maxsplit=2)[2] for line in said.splitlines() if not line.startswith(" ")] == [
        "first kept",
        *["changed"] * 4,
        "deleted",
        "made again",
    ]
    as_json = json.loads(run(tenant, "d", "--json"))
    assert [one["version"] for one in as_json] == [one.version for one in versions]
    assert "near names: d" in " ".join(run(tenant, "dd", code=1).split())


def test_of_each_device_the_newest_versions_stay(conn, tenant):
    change_in_every_way(conn, tenant)
    store.save(conn, DEVICES, tenant, "other", {})
    before = history.versions(conn, tenant, "d")
    history.trim(conn, 3)
    assert history.versions(conn, tenant, "d") == before[-3:]
    assert len(history.versions(conn, tenant, "other")) == 1
