"""Tenants: made with the first thing that they own, or by name, by command and over REST."""

import json
import threading
import uuid

import httpx
import psycopg
import pytest
from typer.testing import CliRunner

from headwater import registry
from headwater.cli.main import app
from headwater.registry import tenants
from headwater.stack.ports import free_port
from tests.integration.api_server import HEADERS, patiently, served
from tests.integration.registry_log import own_database


@pytest.fixture(scope="module")
def database(postgres: str) -> str:
    return own_database(postgres)


@pytest.fixture
def conn(database):
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def ask(tmp_path_factory, database):
    folder, nowhere = tmp_path_factory.mktemp("api"), f"127.0.0.1:{free_port()}"
    with served(folder, nowhere, database, f"redis://{nowhere}/0", ready=False) as running:

        def ask(method: str, path: str = "", seen: str | None = None, **more) -> httpx.Response:
            headers = {**HEADERS, **({"If-Match": seen} if seen else {})}
            return patiently(
                lambda: httpx.request(method, f"{running.url}/v1/tenants{path}", headers=headers, timeout=60, **more)
            )

        yield ask


@pytest.fixture
def run(database, monkeypatch, tmp_path):
    """Runs a command of tenants; gives its output, or its JSON, and asserts the exit code."""
    monkeypatch.setenv("HEADWATER_POSTGRES", database)
    monkeypatch.setenv("HEADWATER_STATE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str, code: int = 0):
        found = CliRunner().invoke(app, ["tenants", *words])
        assert found.exit_code == code, found.output
        return json.loads(found.stdout) if "--json" in words and code == 0 else found.output

    return run


def test_a_tenant_is_made_once_however_often_it_is_put(ask, tenant):
    made = ask("PUT", f"/{tenant}")
    assert (made.status_code, made.json()["devices"]) == (201, 0)
    for body in ({}, {"content": b"{}"}, {"json": {"title": ""}}, {"json": made.json()}):
        again = ask("PUT", f"/{tenant}", **body)
        assert (again.status_code, again.json()) == (200, made.json())
        assert again.headers["etag"] == made.headers["etag"] == f'"{made.json()["version"]}"'
    assert ask("GET", f"/{tenant}").json() == made.json()
    gone = ask("GET", f"/{tenant}x")
    assert (gone.status_code, f"near names: {tenant}" in gone.json()["detail"]) == (404, True)


def test_another_title_is_set_only_by_who_has_seen_the_tenant(ask, tenant):
    made = ask("PUT", f"/{tenant}", json={"title": "One"})
    assert (made.status_code, made.json()["title"]) == (201, "One")
    assert ask("PUT", f"/{tenant}", json={"title": "Two"}).status_code == 428
    changed = ask("PUT", f"/{tenant}", made.headers["etag"], json={"title": "Two"})
    assert (changed.status_code, changed.json()["title"]) == (200, "Two")
    assert changed.json()["version"] > made.json()["version"]
    for title in ("Two", "Three"):
        assert ask("PUT", f"/{tenant}", made.headers["etag"], json={"title": title}).status_code == 412
    assert ask("PUT", f"/{tenant}y", "*", json={}).status_code == 404
    assert ask("GET", f"/{tenant}").json() == changed.json()


def test_what_is_wrong_is_refused_with_a_message_for_each_field_and_makes_nothing(ask):
    wrong = ask("PUT", "/_a%2Bb", json={"title": 7, "titel": "x", "tenant": "other"})
    assert wrong.status_code == 400
    errors = [(error["field"], error["message"]) for error in wrong.json()["errors"]]
    assert [field for field, _ in errors] == ["tenant", "title", "titel", "tenant"]
    assert "reserved leading _" in errors[0][1]
    assert "got 'other'" in errors[3][1]
    for name in ("a%2Bb", "a%23", "a%0Ab", "a%00b", "_all"):
        refused = ask("PUT", f"/{name}")
        assert (refused.status_code, refused.json()["field"]) == (400, "tenant"), name
    assert ask("PUT", f"/{'x' * 129}").status_code == 422
    for body in (b"{", b"[]", b"7"):
        assert ask("PUT", "/good", content=body).status_code == 400
    assert ask("DELETE", "/demo").status_code == 405
    known = {one["tenant"] for one in ask("GET").json()["tenants"]}
    assert known.isdisjoint({"good", "_all", "a+b", "a#", "other", "_a+b"})


def test_all_are_listed_by_name_with_how_many_devices_each_has(ask, conn, run):
    name = f"t{uuid.uuid4().hex[:8]}"
    for device in ("a", "b", "c"):
        registry.add_device(conn, f"{name}-Z", device, "token")
    made = run("add", f"{name}-a", "--title", "Works", "--json")
    assert (made["title"], made["devices"]) == ("Works", 0)
    listed = [one for one in ask("GET").json()["tenants"] if one["tenant"].startswith(name)]
    assert [(one["tenant"], one["devices"]) for one in listed] == [(f"{name}-Z", 3), (f"{name}-a", 0)]
    assert [one for one in run("list", "--json") if one["tenant"].startswith(name)] == listed
    assert f"{name}-Z" in run("list")


def test_the_command_makes_a_tenant_and_may_be_given_again(run, tenant):
    first = run("add", tenant, "--json")
    assert run("add", tenant, "--json") == first
    titled = run("add", tenant, "--title", "Works", "--json")
    assert (titled["title"], titled["created_ms"]) == ("Works", first["created_ms"])
    assert run("add", tenant, "--json") == titled
    said = " ".join(run("add", "a/b", "--title", "x" * 201, code=1).split())
    assert "tenant: expected a tenant name without / + #" in said
    assert "title: expected text of at most 200 characters" in said


def test_many_who_make_the_same_tenant_at_once_make_one(database, conn, tenant):
    together, made = threading.Barrier(8), []

    def make() -> None:
        with psycopg.connect(database) as own:
            together.wait()
            made.append(tenants.save(own, tenant, {}, 0))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(was_made for _, was_made in made) == [False] * 7 + [True]
    assert {found for found, _ in made} == {tenants.get(conn, tenant)}
