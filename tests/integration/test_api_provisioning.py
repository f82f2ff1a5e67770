"""Provisioning keys and devices that register themselves, over REST."""

import time
import uuid

import httpx
import psycopg
import pytest

from headwater import registry
from headwater.stack.ports import free_port
from tests.integration.api_server import HEADERS, patiently, served
from tests.integration.registry_log import own_database

OWN = "a-token-that-the-device-has-made-itself"


@pytest.fixture(scope="module")
def database(postgres: str) -> str:
    return own_database(postgres)


@pytest.fixture(scope="module")
def api(tmp_path_factory, database):
    folder, nowhere = tmp_path_factory.mktemp("api"), f"127.0.0.1:{free_port()}"
    with served(folder, nowhere, database, f"redis://{nowhere}/0", ready=False, unknown_devices="claim") as running:
        yield running


@pytest.fixture
def ask(api):
    """Asks in the name of a tenant of its own, which has the model `boiler`."""
    tenant = f"t{uuid.uuid4().hex[:8]}"

    def ask(method: str, path: str, seen: str | None = None, **more) -> httpx.Response:
        headers = {**HEADERS, **({"If-Match": seen} if seen else {})}
        given = {"headers": headers, "params": {"tenant": tenant}, "timeout": 60, **more}
        return patiently(lambda: httpx.request(method, f"{api.url}/v1/models{path}", **given))

    ask.tenant = tenant
    assert ask("PUT", "/boiler", json={}).status_code == 201
    return ask


def provision(api, key: str | None, **request: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return patiently(lambda: httpx.post(f"{api.url}/v1/provision", headers=headers, json=request, timeout=60))


def test_a_key_is_made_read_and_withdrawn_by_who_has_seen_it(ask):
    made = ask("POST", "/boiler/keys", json={"most_uses": 2})
    assert made.status_code == 201
    key = made.json()
    assert registry.token_sha256(key.pop("key"))[:12] == key["id"]
    assert (key["state"], key["uses"], key["most_uses"]) == ("good", 0, 2)
    read = ask("GET", f"/boiler/keys/{key['id']}")
    assert (read.json(), read.headers["etag"]) == (key, made.headers["etag"])
    assert ask("GET", "/boiler/keys").json() == {"keys": [key]}
    assert ask("DELETE", f"/boiler/keys/{key['id']}").status_code == 428
    assert ask("DELETE", f"/boiler/keys/{key['id']}", '"1"').status_code == 412
    assert ask("DELETE", f"/boiler/keys/{key['id']}", made.headers["etag"]).status_code == 204
    assert ask("GET", f"/boiler/keys/{key['id']}").json()["state"] == "revoked"
    wrong = ask("POST", "/boiler/keys", json={"most_uses": 0, "expires": 3})
    assert (wrong.status_code, [error["field"] for error in wrong.json()["errors"]]) == (400, ["most_uses", "expires"])
    for method, path in (("POST", "/none/keys"), ("GET", "/none/keys"), ("GET", "/boiler/keys/none")):
        assert ask(method, path, json={}).status_code == 404


def test_a_device_registers_itself_with_a_key_and_without_the_access_key(ask, api, database):
    key = ask("POST", "/boiler/keys", json={}).json()["key"]
    made = provision(api, key, device="b-1", token=OWN)
    assert made.status_code == 201
    assert made.json() == {
        "tenant": ask.tenant,
        "device": "b-1",
        "model": "boiler",
        "token": OWN,
        "made": True,
    }
    assert provision(api, key, device="b-1", token=OWN).status_code == 200
    taken = provision(api, key, device="b-1")
    assert (taken.status_code, taken.json()["type"]) == (409, "urn:headwater:problem:name-taken")
    given = provision(api, key, device="b-2").json()
    with psycopg.connect(database) as conn:
        good = registry.good(conn, ask.tenant, "b-2")
        [refused] = conn.execute(
            "select value::jsonb ->> 'reason' from outbox where key = %s and value::jsonb ->> 'kind' = 'refused'",
            (f"{ask.tenant}/b-1",),
        )
    assert [one.token_sha256 for one in good] == [registry.token_sha256(given["token"])]
    assert refused == ("name-taken",)
    assert provision(api, key, device="a/b").json()["type"] == "urn:headwater:problem:bad-request"


def test_without_a_key_that_is_good_nobody_is_registered_and_guesses_are_bounded(ask, api):
    nothing = provision(api, None, device="b")
    assert (nothing.status_code, nothing.headers["www-authenticate"]) == (401, "Bearer")
    # The access key registers nobody here, and a provisioning key opens nothing else.
    assert provision(api, HEADERS["Authorization"].split()[1], device="b").status_code == 401
    key = ask("POST", "/boiler/keys", json={}).json()["key"]
    assert httpx.get(f"{api.url}/v1/devices", headers={"Authorization": f"Bearer {key}"}, timeout=60).status_code == 401
    statuses: list[int] = []
    begun = time.monotonic()
    # 25 are too many in one minute; on a machine that is slow the minute may end in between.
    while 429 not in statuses and (len(statuses) < 25 or time.monotonic() - begun > 60) and len(statuses) < 60:
        statuses.append(provision(api, "guess", device="b").status_code)
    assert statuses[:10] == [401] * 10
    assert statuses[-1] == 429
    waits = provision(api, key, device="b")
    assert (waits.status_code, waits.headers["retry-after"]) == (429, "60")


def test_by_default_unknown_devices_are_refused(tmp_path, database):
    nowhere = f"127.0.0.1:{free_port()}"
    with served(tmp_path, nowhere, database, f"redis://{nowhere}/0", ready=False) as api:
        refused = provision(api, "any", device="b")
    assert (refused.status_code, "HEADWATER_UNKNOWN_DEVICES" in refused.json()["detail"]) == (403, True)
