"""The registry over REST, against a real PostgreSQL."""

import uuid

import httpx
import psycopg
import pytest

from headwater import registry
from headwater.stack.ports import free_port
from tests.integration.api_server import HEADERS, patiently, served
from tests.integration.registry_log import own_database


@pytest.fixture(scope="module")
def database(postgres: str) -> str:
    return own_database(postgres)


@pytest.fixture(scope="module")
def api(tmp_path_factory, database):
    folder, nowhere = tmp_path_factory.mktemp("api"), f"127.0.0.1:{free_port()}"
    with served(folder, nowhere, database, f"redis://{nowhere}/0", ready=False) as running:
        yield running


@pytest.fixture
def ask(api):
    """Asks in the name of a tenant of its own."""
    tenant = f"t{uuid.uuid4().hex[:8]}"

    def ask(method: str, path: str, seen: str | None = None, **more) -> httpx.Response:
        headers = {**HEADERS, **({"If-Match": seen} if seen else {}), **more.pop("headers", {})}
        query = {"tenant": tenant, **more.pop("params", {})}
        return patiently(
            lambda: httpx.request(method, api.url + path, headers=headers, params=query, timeout=60, **more)
        )

    ask.tenant = tenant
    return ask


def test_a_site_is_made_once_and_changed_only_by_who_has_seen_it(ask):
    made = ask("PUT", "/v1/sites/north", json={"title": "North", "zone": "Europe/Berlin"})
    assert made.status_code == 201
    tag = made.headers["etag"]
    assert tag == f'"{made.json()["version"]}"'
    again = ask("PUT", "/v1/sites/north", json={"title": "Other"})
    assert (again.status_code, again.json()["type"]) == (428, "urn:headwater:problem:precondition-required")
    changed = ask("PATCH", "/v1/sites/north", tag, json={"place": "Kiel"})
    assert changed.status_code == 200
    assert (changed.json()["title"], changed.json()["place"]) == ("North", "Kiel")
    for method in ("PATCH", "PUT", "DELETE"):
        stale = ask(method, "/v1/sites/north", tag, json={"title": "x"})
        assert stale.status_code == 412, method
        assert "somebody has changed it since" in stale.json()["detail"]
    replaced = ask("PUT", "/v1/sites/north", changed.headers["etag"], json={**changed.json(), "place": ""})
    assert replaced.json()["title"] == "North"
    assert ask("GET", "/v1/sites/north").json() == replaced.json()
    assert ask("GET", "/v1/sites").json() == {"sites": [replaced.json()]}
    assert ask("DELETE", "/v1/sites/north").status_code == 428
    assert ask("DELETE", "/v1/sites/north", "*").status_code == 204
    gone = ask("GET", "/v1/sites/north")
    assert (gone.status_code, "got 'north'" in gone.json()["detail"]) == (404, True)
    assert ask("PATCH", "/v1/sites/north", "*", json={}).status_code == 404


def test_a_wrong_body_names_every_field(ask):
    wrong = ask("PUT", "/v1/models/pump", json={"titel": "x", "metrics": {"flow": {"scale": 0}}})
    assert wrong.status_code == 400
    assert [error["field"] for error in wrong.json()["errors"]] == ["titel", "metrics.flow.scale"]
    assert ask("PUT", "/v1/models/pump", content=b"{").json()["field"] == "body"
    assert ask("PUT", "/v1/models/pump", json={}, headers={"If-Match": "x"}).json()["field"] == "if-match"
    assert ask("PUT", "/v1/models/p%2Bq", json={}).status_code == 400
    unknown = ask("PUT", "/v1/registry/devices/d", json={"site": "nowhere"})
    assert (unknown.status_code, unknown.json()["field"]) == (400, "site")


def test_devices_are_found_by_site_model_and_tag_and_go_out_and_in_as_files(ask, database):
    ask("PUT", "/v1/sites/north", json={})
    ask("PUT", "/v1/models/pump", json={"metrics": {"flow": {"unit": "l/min"}}})
    text = "device,site,model,tags\na,north,pump,x\nb,north,,x;y\nc,,pump,\n"
    done = ask("POST", "/v1/registry/devices", content=text, headers={"Content-Type": "text/csv; charset=utf-8"})
    assert done.status_code == 200, done.text
    tokens = {one["device"]: one["token"] for one in done.json()["devices"]}
    with psycopg.connect(database) as conn:
        good = registry.good(conn, ask.tenant, "a")
    assert [one.token_sha256 for one in good] == [registry.token_sha256(tokens["a"])]

    def names(**query) -> list[str]:
        return [one["device"] for one in ask("GET", "/v1/registry/devices", params=query).json()["devices"]]

    assert names(site="north") == ["a", "b"]
    assert names(model="pump") == ["a", "c"]
    assert names(tag="y") == ["b"]
    assert names(site="north", model="pump", tag="x") == ["a"]
    first = ask("GET", "/v1/registry/devices", params={"limit": 2}).json()
    assert names(cursor=first["next"]) == ["c"]
    for media in ("text/csv", "application/x-ndjson"):
        out = ask("GET", "/v1/registry/devices", headers={"Accept": media}, params={"limit": 1})
        assert out.headers["content-type"].startswith(media)
        back = ask("POST", "/v1/registry/devices", content=out.content, headers={"Content-Type": media})
        assert [one["what"] for one in back.json()["devices"]] == ["same"] * 3
    in_use = ask("DELETE", "/v1/sites/north", "*")
    assert (in_use.status_code, "move them first" in in_use.json()["detail"]) == (412, True)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("sites", "site,zone\nnorth,Europe/Berlin\n"),
        ("models", 'model,metrics\npump,"{""flow"": {""unit"": ""l""}}"\n'),
    ],
)
def test_sites_and_models_go_in_and_out_as_files(ask, kind, text):
    made = ask("POST", f"/v1/{kind}", content=text, headers={"Content-Type": "text/csv"})
    assert [one["what"] for one in made.json()[kind]] == ["added"], made.text
    for media in ("text/csv", "application/x-ndjson"):
        out = ask("GET", f"/v1/{kind}", headers={"Accept": media})
        assert out.headers["content-type"].startswith(media)
        back = ask("POST", f"/v1/{kind}", content=out.content, headers={"Content-Type": media})
        assert [one["what"] for one in back.json()[kind]] == ["same"]
    assert ask("GET", f"/v1/{kind}").json()[kind][0]["version"] >= 1
    wrong = ask("POST", f"/v1/{kind}", content='{"x": 1}', headers={"Content-Type": "application/x-ndjson"})
    assert wrong.status_code == 400
    assert "line 1: x" in {error["field"] for error in wrong.json()["errors"]}


def test_a_wrong_file_is_refused_whole_with_line_and_field(ask):
    text = '{"device": "a"}\n{"device": "b", "sit": "north"}\n{"device": "c", "site": 7}\n'
    wrong = ask("POST", "/v1/registry/devices", content=text, headers={"Content-Type": "application/x-ndjson"})
    assert wrong.status_code == 400
    errors = {error["field"]: error["message"] for error in wrong.json()["errors"]}
    assert set(errors) == {"line 2: sit", "line 3: site"}
    assert "nearest: site" in errors["line 2: sit"]
    assert ask("GET", "/v1/registry/devices").json()["devices"] == []
    other = ask("POST", "/v1/registry/devices", content=text, headers={"Content-Type": "application/json"})
    assert (other.status_code, other.json()["type"]) == (415, "urn:headwater:problem:unsupported-media-type")


def test_tokens_are_given_beside_the_old_one_and_withdrawn(ask, database):
    ask("PUT", "/v1/registry/devices/d", json={})
    assert ask("GET", "/v1/registry/devices/d").json()["token"] == "none"
    one, two = (ask("POST", "/v1/registry/devices/d/token").json()["token"] for _ in range(2))
    with psycopg.connect(database, autocommit=True) as conn:
        good = {found.token_sha256 for found in registry.good(conn, ask.tenant, "d")}
        assert good == {registry.token_sha256(one), registry.token_sha256(two)}
        assert ask("DELETE", "/v1/registry/devices/d/token").status_code == 204
        assert registry.good(conn, ask.tenant, "d") == []
    assert ask("GET", "/v1/registry/devices/d").json()["token"] == "revoked"
    assert ask("POST", "/v1/registry/devices/none/token").status_code == 404


def test_every_version_of_a_device_is_told_in_pages_also_after_its_end(ask):
    path = "/v1/registry/devices/d/versions"
    assert ask("GET", path).status_code == 404
    ask("PUT", "/v1/sites/north", json={"zone": "Europe/Berlin"})
    for kind in ("a", "b", "c"):
        ask("PUT", "/v1/registry/devices/d", "*" if kind != "a" else None, json={"kind": kind, "site": "north"})
    seen = ask("GET", "/v1/registry/devices/d").json()
    assert ask("DELETE", "/v1/registry/devices/d", "*").status_code == 204
    whole = ask("GET", path).json()
    assert whole["next"] is None
    assert [(one["kind"], one["zone"], one["deleted"]) for one in whole["versions"]] == [
        ("a", "Europe/Berlin", False),
        ("b", "Europe/Berlin", False),
        ("c", "Europe/Berlin", False),
        ("", None, True),
    ]
    last = whole["versions"][2]
    assert {name: last[name] for name in ("version", "changed_ms", "kind", "site")} == {
        name: seen[name] for name in ("version", "changed_ms", "kind", "site")
    }
    first = ask("GET", path, params={"limit": 3}).json()
    rest = ask("GET", path, params={"limit": 3, "cursor": first["next"]}).json()
    assert first["versions"] + rest["versions"] == whole["versions"]
    assert rest["next"] is None
    for wrong in ({"limit": 0}, {"cursor": "x"}, {"cursor": -1}):
        assert ask("GET", path, params=wrong).status_code == 422
