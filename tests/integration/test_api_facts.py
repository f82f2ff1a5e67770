"""What the registry says of devices, beside their newest values: told, and asked by."""

import pytest

from tests.integration.api_server import Log, Stores, eventually, row, served


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, kafka: str, clickhouse: str, log: Log, stores: Stores):
    folder = tmp_path_factory.mktemp("api")
    with served(folder, kafka, stores.postgres, stores.valkey, clickhouse=clickhouse) as running:
        yield running


def test_a_device_is_told_with_its_site_model_and_tags(api, stores, log, tenant):
    stores.register(tenant, "a", "b")
    for statement in (
        "insert into site (tenant, site, version, changed) values (%s, 'north', 1, now())",
        "insert into model (tenant, model, version, changed) values (%s, 'boiler-2', 1, now())",
        "update device set site='north', model='boiler-2', tags = '{cellar,roof}' where tenant = %s and device='a'",
    ):
        stores.execute(statement, tenant)
    log.rows(row(tenant, "c"))
    eventually(lambda: len(api.json("/v1/devices", tenant=tenant)["devices"]) == 3)
    listed = api.json("/v1/devices", tenant=tenant)["devices"]
    facts = {one["device"]: (one["site"], one["model"], one["tags"]) for one in listed}
    assert facts == {"a": ("north", "boiler-2", ["cellar", "roof"]), "b": (None, None, []), "c": (None, None, [])}
    alone = api.json("/v1/devices/a", tenant=tenant)
    assert (alone["site"], alone["model"], alone["tags"]) == facts["a"]


def test_a_device_is_told_with_what_its_model_says_of_the_metrics_that_it_has(api, stores, tenant):
    stores.register(tenant, "a", "b")
    metrics = '{"t": {"unit": "°F", "scale": 1.8, "title": "Hall", "low": 1}, "n": {}, "never": {"unit": "V"}}'
    statement = "insert into model (tenant, model, metrics, version, changed) values (%s, 'pump', %s, 1, now())"
    stores.execute(statement, tenant, metrics)
    stores.execute("update device set model = 'pump' where tenant = %s and device = 'a'", tenant)
    stores.latest(*(row(tenant, device, metric) for device in "ab" for metric in ("t", "n", "other")))
    device = api.json("/v1/devices/a", tenant=tenant)
    said = {"t": {"unit": "°F", "scale": 1.8, "title": "Hall"}, "n": {"unit": "", "scale": 1.0, "title": ""}}
    assert device["named"] == said
    assert device["latest"]["t"]["last"] == 20.0, "as it was sent"
    assert api.json("/v1/devices/b", tenant=tenant)["named"] == {}
    assert [one["named"] for one in api.json("/v1/devices", tenant=tenant)["devices"]] == [said, {}]


def test_devices_are_found_by_site_model_and_tag_a_page_at_a_time(api, stores, log, tenant):
    stores.register(tenant, "a", "b", "c", "d")
    stores.register(f"{tenant}-2", "e")
    for place in (tenant, f"{tenant}-2"):
        stores.execute("insert into site (tenant, site, version, changed) values (%s, 'north', 1, now())", place)
        stores.execute("insert into model (tenant, model, version, changed) values (%s, 'pump', 1, now())", place)
    stores.execute("update device set site = 'north' where tenant like %s and device <> 'c'", f"{tenant}%")
    stores.execute("update device set model = 'pump' where tenant = %s and device in ('a', 'c', 'd')", tenant)
    stores.execute("update device set tags = '{roof,spare}' where tenant = %s and device in ('b', 'd')", tenant)
    # Nobody has registered "bb": it stands between two that are found, and has no site.
    log.rows(row(tenant, "bb"))
    eventually(lambda: len(api.json("/v1/devices", tenant=tenant)["devices"]) == 5)

    def found(**query) -> list[str]:
        return [one["device"] for one in api.json("/v1/devices", tenant=tenant, **query)["devices"]]

    assert found(site="north") == ["a", "b", "d"]
    assert found(model="pump") == ["a", "c", "d"]
    assert found(tag="roof") == ["b", "d"]
    assert found(site="north", model="pump", tag="spare") == ["d"]
    assert found(site="north", search="B") == ["b"]
    assert found(site="nort") == found(tag="roo") == []
    first = api.json("/v1/devices", tenant=tenant, site="north", limit=2)
    assert ([one["device"] for one in first["devices"]], first["next"]) == (["a", "b"], "b")
    second = api.json("/v1/devices", tenant=tenant, site="north", limit=2, cursor=first["next"])
    assert ([one["device"] for one in second["devices"]], second["next"]) == (["d"], None)
    wrong = api.get("/v1/devices", tenant=tenant, tag="a\0b")
    assert (wrong.status_code, wrong.json()["field"]) == (400, "tag")
