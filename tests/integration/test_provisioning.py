"""Devices that register themselves, in PostgreSQL: what a key opens, how often, and what it never opens."""

import json
import threading
import uuid

import psycopg
import pytest
from typer.testing import CliRunner

from headwater import registry
from headwater.cli.main import app
from headwater.model.errors import BadFields, Conflict, NotFound
from headwater.model.topics import DEVICE_EVENTS, DEVICE_REGISTRY
from headwater.model.version import ANY_OLD
from headwater.registry import keys, store
from headwater.registry.entries import DEVICES, MODELS
from headwater.registry.provisioning import Provisioned, Refusal, provision
from tests.integration.registry_log import own_database

OWN = "a-token-that-the-device-has-made-itself"


@pytest.fixture(scope="module")
def database(postgres: str) -> str:
    return own_database(postgres)


@pytest.fixture
def conn(database):
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def tenant(conn) -> str:
    """A tenant with the model `boiler`."""
    name = f"t{uuid.uuid4().hex[:8]}"
    store.save(conn, MODELS, name, "boiler", {"title": "Boiler"})
    return name


def key_of(conn, tenant: str, **limits: int) -> str:
    """The SHA-256 of a new key."""
    key = registry.new_token()
    keys.add(conn, tenant, "boiler", key, keys.Limits(**limits))
    return registry.token_sha256(key)


def told(conn, topic, tenant: str) -> list[dict]:
    rows = conn.execute(
        "select value from outbox where topic = %s and key like %s order by id", (topic.name, f"{tenant}/%")
    )
    return [json.loads(value) for (value,) in rows]


def test_a_device_is_registered_with_its_model_and_its_token_and_all_is_told(conn, tenant):
    key = key_of(conn, tenant)
    done = provision(conn, key, {"device": "b-1"})
    assert isinstance(done, Provisioned)
    assert (done.tenant, done.device, done.model, done.made) == (tenant, "b-1", "boiler", True)
    assert [one.token_sha256 for one in registry.good(conn, tenant, "b-1")] == [registry.token_sha256(done.token)]
    assert store.get(conn, DEVICES, tenant, "b-1").model == "boiler"
    [record] = told(conn, DEVICE_REGISTRY, tenant)
    assert (record["device"], record["model"]) == ("b-1", "boiler")
    provisioned, given = told(conn, DEVICE_EVENTS, tenant)
    assert (provisioned["kind"], given["kind"]) == ("provisioned", "credentials-changed")
    assert provisioned["detail"] == f"with key {key[:12]} of model boiler"
    assert keys.get(conn, tenant, "boiler", key[:12]).uses == 1
    # How a change came about is said of that change alone.
    store.save(conn, DEVICES, tenant, "by-hand", {})
    assert told(conn, DEVICE_EVENTS, tenant)[-1]["detail"] == ""


def test_a_device_that_has_not_read_its_answer_asks_again_with_its_own_token(conn, tenant):
    key = key_of(conn, tenant, most_uses=1)
    made = provision(conn, key, {"device": "b-1", "token": OWN})
    assert isinstance(made, Provisioned)
    assert made.made
    again = provision(conn, key, {"device": "b-1", "token": OWN})
    assert again == made._replace(made=False)
    assert keys.find(conn, key).state == "used-up"
    assert keys.find(conn, key).uses == 1
    assert len(told(conn, DEVICE_REGISTRY, tenant)) == 1


@pytest.mark.parametrize("request_", [{"device": "b-1"}, {"device": "b-1", "token": OWN}])
@pytest.mark.parametrize("withdrawn", [False, True])
def test_no_key_opens_a_device_that_is_registered(conn, tenant, request_, withdrawn):
    registry.add_device(conn, tenant, "b-1", "its token")
    if withdrawn:
        registry.revoke(conn, tenant, "b-1")
    before = registry.issued(conn, tenant, "b-1"), store.get(conn, DEVICES, tenant, "b-1")
    key = key_of(conn, tenant)
    refused = provision(conn, key, request_)
    assert isinstance(refused, Refusal)
    assert refused.reason == "name-taken"
    assert "another token" in refused.detail
    assert OWN not in refused.detail
    assert (registry.issued(conn, tenant, "b-1"), store.get(conn, DEVICES, tenant, "b-1")) == before
    assert keys.find(conn, key).uses == 0
    event = told(conn, DEVICE_EVENTS, tenant)[-1]
    assert (event["kind"], event["device"], event["reason"]) == ("refused", "b-1", "name-taken")


def test_a_revoked_token_of_its_own_is_no_way_back_in(conn, tenant):
    key = key_of(conn, tenant)
    provision(conn, key, {"device": "b-1", "token": OWN})
    registry.revoke(conn, tenant, "b-1")
    assert provision(conn, key, {"device": "b-1", "token": OWN}).reason == "name-taken"
    assert registry.good(conn, tenant, "b-1") == []


def test_a_key_counts_in_its_own_tenant_alone(conn, tenant):
    other = f"{tenant}-other"
    store.save(conn, MODELS, other, "boiler", {})
    registry.add_device(conn, other, "b-1", OWN)
    done = provision(conn, key_of(conn, tenant), {"device": "b-1", "token": OWN})
    assert (done.tenant, done.made) == (tenant, True)


def test_of_many_at_once_no_more_are_registered_than_the_key_is_for(conn, database, tenant):
    key, outcomes, together = key_of(conn, tenant, most_uses=3), [], threading.Barrier(8)

    def ask(number: int) -> None:
        with psycopg.connect(database) as own:
            together.wait()
            outcomes.append(provision(own, key, {"device": f"b-{number}"}))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [one for one in outcomes if isinstance(one, Refusal)]
    assert len(outcomes) - len(refused) == 3
    assert {one.reason for one in refused} == {"bad-key"}
    assert all("for 3 devices" in one.detail for one in refused)
    assert conn.execute("select count(*) from device where tenant = %s", (tenant,)).fetchone() == (3,)
    assert len(told(conn, DEVICE_REGISTRY, tenant)) == 3


def test_of_many_with_one_name_one_gets_it(conn, database, tenant):
    key, outcomes, together = key_of(conn, tenant), [], threading.Barrier(6)

    def ask() -> None:
        with psycopg.connect(database) as own:
            together.wait()
            outcomes.append(provision(own, key, {"device": "b-1"}))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(one).__name__ for one in outcomes) == ["Provisioned"] + ["Refusal"] * 5
    [done] = [one for one in outcomes if isinstance(one, Provisioned)]
    assert [one.token_sha256 for one in registry.good(conn, tenant, "b-1")] == [registry.token_sha256(done.token)]
    assert keys.find(conn, key).uses == 1


def test_a_key_that_is_unknown_revoked_expired_or_without_its_model_opens_nothing(conn, tenant):
    def refusal(digest: str) -> str:
        outcome = provision(conn, digest, {"device": "b-1"})
        assert isinstance(outcome, Refusal)
        assert outcome.reason == "bad-key"
        return outcome.detail

    assert "nobody has made" in refusal(registry.token_sha256("guess"))
    revoked = key_of(conn, tenant)
    keys.revoke(conn, tenant, "boiler", revoked[:12])
    assert "was revoked" in refusal(revoked)
    expired = key_of(conn, tenant, expires_s=60)
    assert keys.find(conn, expired).state == "good"
    conn.execute("update provisioning_key set expires = now() where key_sha256 = %s", (expired,))
    assert "has expired" in refusal(expired)
    gone = key_of(conn, tenant)
    store.remove(conn, MODELS, tenant, "boiler")
    assert "nobody has made" in refusal(gone)
    assert conn.execute("select count(*) from device where tenant = %s", (tenant,)).fetchone() == (0,)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "expected a JSON object"),
        ({}, "device: expected the name"),
        ({"device": ""}, "of 1 to 128"),
        ({"device": "a/b"}, "without / + #"),
        ({"device": "_b"}, "leading _"),
        ({"device": 7}, "as text"),
        ({"device": "b", "token": "short"}, "32 to 256"),
        ({"device": "b", "token": "with spaces in it and long enough to be one"}, "32 to 256"),
        ({"device": "b", "site": "north"}, "known field"),
    ],
)
def test_a_request_that_is_none_is_refused_with_what_was_expected(conn, tenant, given, said):
    key = key_of(conn, tenant)
    refused = provision(conn, key, given)
    assert (type(refused), refused.reason) == (Refusal, "bad-request")
    assert said in refused.detail
    assert keys.find(conn, key).uses == 0
    assert told(conn, DEVICE_EVENTS, tenant) == []


def test_a_key_is_withdrawn_by_who_has_seen_it_and_uses_do_not_count_as_changes(conn, tenant):
    key = key_of(conn, tenant)
    seen = keys.find(conn, key)
    provision(conn, key, {"device": "b-1"})
    assert keys.find(conn, key).version == seen.version
    with pytest.raises(Conflict, match="somebody has changed it since"):
        keys.revoke(conn, tenant, "boiler", seen.id, seen.version + 1)
    gone = keys.revoke(conn, tenant, "boiler", seen.id, seen.version)
    assert (gone.state, gone.uses) == ("revoked", 1)
    assert gone.version > seen.version
    with pytest.raises(Conflict):
        keys.revoke(conn, tenant, "boiler", seen.id, seen.version)
    assert keys.revoke(conn, tenant, "boiler", seen.id, ANY_OLD) == gone
    with pytest.raises(NotFound, match="keys list"):
        keys.revoke(conn, tenant, "boiler", "none")
    with pytest.raises(NotFound):
        keys.add(conn, tenant, "nothing", "key", keys.Limits())


def test_limits_are_checked_whole():
    with pytest.raises(BadFields) as wrong:
        keys.limits({"expires_s": 0, "most_uses": True, "uses": 3})
    assert [fault.field for fault in wrong.value.faults] == ["expires_s", "most_uses", "uses"]
    assert keys.limits({"expires_s": 60, "most_uses": None}) == keys.Limits(60, None)


@pytest.fixture
def run(database, monkeypatch, tmp_path):
    monkeypatch.setenv("HEADWATER_POSTGRES", database)
    monkeypatch.setenv("HEADWATER_STATE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str, code: int = 0):
        found = CliRunner().invoke(app, words)
        assert found.exit_code == code, found.output
        return json.loads(found.stdout) if "--json" in words and code == 0 else found.output

    return run


def test_an_operator_makes_lists_and_revokes_keys(run, conn, tenant):
    made = run("models", "keys", "add", tenant, "boiler", "--expires", "30d", "--uses", "2", "--json")
    assert registry.token_sha256(made["key"])[:12] == made["id"]
    assert (made["state"], made["most_uses"]) == ("good", 2)
    shown = run("models", "keys", "add", tenant, "boiler")
    assert "mosquitto_rr" in shown
    assert "/v1/provision" in shown
    assert "HEADWATER_UNKNOWN_DEVICES=claim" in shown
    assert isinstance(provision(conn, registry.token_sha256(made["key"]), {"device": "b"}), Provisioned)
    _, first = run("models", "keys", "list", tenant, "boiler", "--json")
    assert (first["id"], first["uses"]) == (made["id"], 1)
    assert made["key"] not in json.dumps(first)
    stale = run("models", "keys", "revoke", tenant, "boiler", made["id"], "--if-version", "1", code=1)
    assert "somebody has changed it since" in stale
    run("models", "keys", "revoke", tenant, "boiler", made["id"])
    assert keys.get(conn, tenant, "boiler", made["id"]).state == "revoked"
    assert "expected a time as" in run("models", "keys", "add", tenant, "boiler", "--expires", "soon", code=1)


def test_what_devices_need_is_not_deleted_and_the_rest_is(run, conn, tenant):
    run("sites", "add", tenant, "north")
    run("devices", "add", tenant, "b-1", "--site", "north", "--model", "boiler")
    run("models", "keys", "add", tenant, "boiler")
    for kind, name in (("sites", "north"), ("models", "boiler")):
        said = run(kind, "delete", tenant, name, code=1)
        assert "without devices" in said
        assert f"devices list --tenant {tenant} --{kind[:-1]} {name}" in said
    version = str(store.get(conn, DEVICES, tenant, "b-1").version)
    assert "somebody has changed it" in run("devices", "delete", tenant, "b-1", "--if-version", "1", code=1)
    assert run("devices", "delete", tenant, "b-1", "--if-version", version, "--json")["deleted"]
    assert told(conn, DEVICE_REGISTRY, tenant)[-1]["deleted"]
    for kind, name in (("sites", "north"), ("models", "boiler")):
        assert "deleted" in run(kind, "delete", tenant, name)
        assert f"got '{name}'" in run(kind, "delete", tenant, name, code=1)
    assert conn.execute("select count(*) from provisioning_key where tenant = %s", (tenant,)).fetchone() == (0,)
