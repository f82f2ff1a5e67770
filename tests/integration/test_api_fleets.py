"""Sites and models at the API: series like those of devices, and never among devices."""

import pytest

from tests.integration.api_server import Log, Stores, eventually, row, served, this_pane


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, kafka: str, clickhouse: str, log: Log, stores: Stores):
    folder = tmp_path_factory.mktemp("api")
    with served(folder, kafka, stores.postgres, stores.valkey, clickhouse=clickhouse) as running:
        yield running


def all_of(tenant: str, pane: int):
    names = ("a", "_site/über", "_model/m 1")
    return [row(tenant, name, "m", pane=pane, count=number) for number, name in enumerate(names, 1)]


def test_the_series_of_a_site_and_of_a_model_are_answered_like_that_of_a_device(api, stores, tenant):
    pane = this_pane() - 60_000
    for number, name in enumerate(("a", "_site/über", "_model/m 1"), 1):
        stores.panes(row(tenant, name, "m", pane=pane, count=number, sum=4.0 * number))
    for number, path in enumerate(("devices/a", "sites/über", "models/m 1"), 1):
        answer = api.json(f"/v1/{path}/series", tenant=tenant, metric="m", level="10s")
        assert answer["columns"]["t"] == [pane]
        assert answer["columns"]["count"] == [number]
        assert answer["columns"]["mean"] == [4.0]
    assert answer["device"] == "_model/m 1"
    assert api.json("/v1/sites/über/series", tenant=tenant, metric="m", points=20)["level"] == "1m"


def test_what_is_not_there_is_said_with_near_names(api, stores, log, tenant):
    log.rows(*all_of(tenant, this_pane()))
    eventually(lambda: len(api.json("/v1/fleets", tenant=tenant)["fleets"]) == 2)
    answer = api.get("/v1/sites/uber/series", tenant=tenant, metric="m")
    assert answer.status_code == 404
    assert "_site/über" in answer.json()["detail"]
    answer = api.get("/v1/sites/über/series", tenant=tenant, metric="n")
    assert answer.status_code == 404
    assert "Near names: m" in answer.json()["detail"]
    assert api.get("/v1/sites/a/series", tenant=tenant, metric="m", points=10**6).status_code == 400


def test_fleets_are_listed_with_their_newest_values_and_are_no_devices(api, stores, log, tenant):
    rows = all_of(tenant, this_pane())
    log.rows(*rows)
    stores.latest(*rows)
    eventually(lambda: api.json("/v1/devices", tenant=tenant)["devices"])
    eventually(lambda: len(api.json("/v1/fleets", tenant=tenant)["fleets"]) == 2)
    assert [one["device"] for one in api.json("/v1/devices", tenant=tenant)["devices"]] == ["a"]
    assert api.json("/v1/devices", tenant=tenant, search="_site")["devices"] == []
    found = {one["fleet"]: one["metrics"]["m"]["count"] for one in api.json("/v1/fleets", tenant=tenant)["fleets"]}
    assert found == {"_model/m 1": 3, "_site/über": 2}


def test_live_clients_get_fleets_that_they_name_and_no_others(api, log, tenant):
    pane = this_pane()
    log.rows(*all_of(tenant, pane))
    with api.live() as fleet, api.live() as site:
        fleet.subscribe(tenant).until(lambda one: one.rows)
        site.subscribe(tenant, ["_site/über"]).until(lambda one: one.rows)
        log.rows(row(tenant, "_site/über", "m", pane=pane, count=9), row(tenant, "a", "m", pane=pane, count=8))
        site.until(lambda one: set(one.rows.values()) == {9})
        fleet.until(lambda one: set(one.rows.values()) == {8})
        assert {key[0] for key in site.rows} == {"_site/über"}
        assert {key[0] for key in fleet.rows} == {"a"}
