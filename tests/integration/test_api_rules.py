"""Rules over REST: the application itself, on a real PostgreSQL."""

import asyncio

import httpx
import psycopg
import pytest

from api.app import create_app
from headwater.model.settings import ApiSettings
from headwater.stack import migrate

KEY = "k"
HOT = {"severity": "major", "when": {"kind": "threshold", "metric": "t", "above": 80}}


@pytest.fixture
def ask(postgres, tmp_path):
    migrate.apply(postgres)
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute("truncate rule, outbox")
    nowhere = "127.0.0.1:1"
    settings = ApiSettings(
        _env_file=None,
        kafka=nowhere,
        postgres=postgres,
        valkey=f"redis://{nowhere}/0",
        clickhouse=f"http://{nowhere}/x",
        access_key=KEY,
        page=tmp_path,
    )
    transport = httpx.ASGITransport(create_app(settings))

    def ask(method: str, path: str = "/hot", seen: str | None = None, **more) -> httpx.Response:
        async def once() -> httpx.Response:
            headers = {"Authorization": f"Bearer {KEY}", **({"If-Match": seen} if seen else {})}
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                return await client.request(method, f"/v1/rules{path}", headers=headers, **more)

        return asyncio.run(once())

    return ask


def test_a_rule_is_made_changed_and_deleted_by_who_has_seen_it(ask):
    made = ask("PUT", json=HOT)
    assert (made.status_code, made.headers["etag"], made.json()["version"]) == (200, '"1"', 1)
    harder = {**HOT, "when": {**HOT["when"], "above": 90}}
    assert ask("PUT", json=harder).json()["type"] == "urn:headwater:problem:precondition-required"
    assert ask("PUT", json=harder, seen='"7"').json()["type"] == "urn:headwater:problem:conflict"
    assert ask("PUT", json=harder, seen=made.headers["etag"]).headers["etag"] == '"2"'
    assert ask("PUT", json=harder, seen="*").headers["etag"] == '"2"'
    assert ask("GET").json()["when"]["above"] == 90
    assert [rule["rule"] for rule in ask("GET", "").json()["rules"]] == ["hot"]
    assert ask("DELETE").status_code == 428
    assert ask("DELETE", seen='"1"').status_code == 412
    assert ask("DELETE", seen='"2"').status_code == 204
    assert ask("PUT", json=harder, seen="*").status_code == 404
    assert ask("PUT", json=harder, seen='"2"').status_code == 404
    assert ask("GET").status_code == 404
    assert [rule["version"] for rule in ask("GET", "/hot/versions").json()["rules"]] == [1, 2, 3]


def test_a_body_that_is_wrong_is_refused_with_every_field(ask):
    bad = {"severity": "majr", "when": {"kind": "threshold", "metrik": "t", "above": 1}}
    answer = ask("PUT", json=bad)
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["errors"]] == ["severity", "when.metrik", "when.metric"]
    assert ask("GET").status_code == 404


@pytest.mark.parametrize(
    ("path", "more", "field"),
    [
        ("/hot", {"content": b"{"}, "body"),
        ("/hot", {"content": b" " * 70_000}, "body"),
        ("/hot", {"json": {**HOT, "rule": "other"}}, "rule"),
        ("/a b", {"json": HOT}, "rule"),
        ("/hot?tenant=nobody", {"json": HOT}, "tenant"),
        ("/hot", {"json": HOT, "seen": "soon"}, "if-match"),
        ("/hot", {"json": HOT, "seen": '"0"'}, "if-match"),
        ("/hot", {"json": []}, ""),
    ],
)
def test_what_cannot_be_a_rule_is_refused(ask, path, more, field):
    answer = ask("PUT", path, **more)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert ask("GET", "").json() == {"rules": []}
