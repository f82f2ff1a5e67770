"""The rules of a device over REST: those that the alerting job judges it by, and no others."""

import uuid
from itertools import product

import psycopg
import pytest

from headwater import rule_store
from headwater.model.rule import Draft, Scope, Silence, Threshold
from headwater.registry import entries, simple, store
from tests.integration.api_server import Api, Log, Stores, row, served

SCOPES = [
    Scope(site=site, model=model, tag=tag, device=device)
    for site, model, tag, device in product(("", "north"), ("", "boiler"), ("", "roof"), ("", "a"))
]
HOT = Threshold(metric="t", above=80.0, clear=75.0)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, kafka: str, stores: Stores):
    Log(kafka)
    with served(tmp_path_factory.mktemp("api"), kafka, stores.postgres, stores.valkey, ready=False) as running:
        yield running


@pytest.fixture
def tenant(stores: Stores) -> str:
    """A tenant with a rule for each scope that there can be, beside rules that are off or gone."""
    name = f"t{uuid.uuid4().hex[:8]}"
    with psycopg.connect(stores.postgres) as conn:
        simple.add_tenant(conn, name)
        for kind, entry in ((entries.SITES, "north"), (entries.SITES, "south"), (entries.MODELS, "boiler")):
            store.save(conn, kind, name, entry, {})
        devices = {
            "a": {"site": "north", "model": "boiler", "tags": ["roof", "old"]},
            "b": {"site": "south", "model": "boiler", "tags": []},
            "plain": {},
        }
        for device, given in devices.items():
            store.save(conn, entries.DEVICES, name, device, given)
        drafts = [Draft(rule=f"r{at:02}", severity="major", when=HOT, scope=of) for at, of in enumerate(SCOPES)]
        drafts += [
            Draft(rule="off", severity="major", when=HOT, enabled=False),
            Draft(rule="gone", severity="major", when=Silence(for_ms=5_000)),
        ]
        rule_store.apply(conn, name, drafts)
        rule_store.delete(conn, name, "gone")
    return name


def rules(api: Api, tenant: str, device: str) -> list[str]:
    return [each["rule"] for each in api.json(f"/v1/devices/{device}/rules", tenant=tenant)["rules"]]


def test_every_rule_whose_scope_has_the_device_and_no_other(api, tenant):
    names = [f"r{at:02}" for at in range(len(SCOPES))]
    assert rules(api, tenant, "a") == names
    of_b = [name for name, of in zip(names, SCOPES, strict=True) if not (of.site or of.tag or of.device)]
    assert rules(api, tenant, "b") == of_b
    assert len(of_b) == 2
    assert rules(api, tenant, "plain") == ["r00"]


def test_a_rule_is_given_as_by_its_own_address(api, tenant):
    [given] = api.json("/v1/devices/plain/rules", tenant=tenant)["rules"]
    assert given == api.json("/v1/rules/r00", tenant=tenant)
    assert given["when"] == {"kind": "threshold", "metric": "t", "above": 80.0, "clear": 75.0}


def test_a_device_that_moves_is_meant_by_others_at_once(api, stores, tenant):
    with psycopg.connect(stores.postgres) as conn:
        store.save(conn, entries.DEVICES, tenant, "plain", {"tags": ["roof"]}, merge=True)
    assert rules(api, tenant, "plain") == [
        f"r{at:02}" for at, of in enumerate(SCOPES) if of in (Scope(), Scope(tag="roof"))
    ]


def test_one_that_was_only_heard_is_meant_by_rules_of_the_tenant_and_one_that_was_not_is_unknown(api, stores, tenant):
    stores.latest(row(tenant, "heard"))
    assert rules(api, tenant, "heard") == ["r00"]
    answer = api.get("/v1/devices/b1/rules", tenant=tenant)
    assert answer.status_code == 404
    assert "Near names: b" in answer.json()["detail"]
