"""What the doors say when nothing stands behind them: keys, problems, probes, the page and the description."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from api.state.status import Delays, Rate
from headwater.model.errors import StackError
from headwater.model.settings import ApiSettings
from tests.unit.test_live_core import FLEET, folded, row

KEY = "k€y"


def settings_of(tmp_path: Path) -> ApiSettings:
    nowhere = "127.0.0.1:1"
    return ApiSettings(
        _env_file=None,
        kafka=nowhere,
        postgres=f"postgresql://x@{nowhere}/x",
        valkey=f"redis://{nowhere}/0",
        clickhouse=f"http://{nowhere}/x",
        access_key=KEY,
        page=tmp_path,
    )


@pytest.fixture
def ask(tmp_path):
    """Asks an application that has not been started: its stores are as good as away."""
    app = create_app(settings_of(tmp_path))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    def ask(path: str, method: str = "GET", key: str | None = KEY, **more) -> httpx.Response:
        async def once() -> httpx.Response:
            headers = {"Authorization": f"Bearer {key}".encode()} if key else {}
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                return await client.request(method, path, headers=headers, **more)

        return asyncio.run(once())

    return ask


GUARDED = [
    "/v1/devices",
    "/v1/devices/a",
    "/v1/devices/a/latest",
    "/v1/devices/a/series?metric=m",
    "/v1/devices/a/readings?metric=m",
    "/v1/status",
    "/metrics",
    "/openapi.json",
    "/docs",
]


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize("key", [None, "wrong", ""])
def test_data_wants_the_key(ask, path, key):
    answer = ask(path, key=key)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Authorization: Bearer" in answer.json()["detail"]


@pytest.mark.parametrize("path", GUARDED)
def test_the_key_may_come_in_the_address(ask, path):
    assert ask(path, key=None, params={"key": KEY, "metric": "m"}).status_code != 401
    assert ask(path, key=None, params={"key": "wrong", "metric": "m"}).status_code == 401


def test_every_call_of_the_description_but_the_probes_wants_the_key(ask):
    for path, ways in ask("/openapi.json").json()["paths"].items():
        for method in ways:
            status = ask(path, method.upper(), key=None).status_code
            assert status == 401 or path in ("/healthz", "/readyz"), (method, path)


def test_without_a_key_of_its_own_the_api_does_not_start(tmp_path):
    with pytest.raises(StackError, match="HEADWATER_ACCESS_KEY"):
        create_app(
            settings_of(tmp_path).model_copy(update={"access_key": ApiSettings.model_fields["access_key"].default})
        )


@pytest.mark.parametrize(
    "path", ["/v1/devices", "/v1/devices/a", "/v1/devices/a/latest", "/v1/devices/a/series?metric=m"]
)
def test_stores_that_are_away_are_a_503_that_says_what_to_do(ask, path):
    answer = ask(path)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    problem = answer.json()
    assert problem["status"] == 503
    assert "does not answer" in problem["detail"]
    assert "headwater status" in problem["detail"]


def test_probes_tell_living_from_ready_and_name_what_is_away(ask):
    assert ask("/healthz", key=None).json() == {"status": "ok"}
    answer = ask("/readyz", key=None)
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    assert set(answer.json()["parts"]) == {"kafka", "postgres", "valkey", "live"}
    assert "ok" not in answer.json()["parts"].values()


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("", 422, "metric"),
        ("?metric=", 422, "metric"),
        ("?metric=m&level=5s", 422, "level"),
        ("?metric=m&points=0", 422, "points"),
        ("?metric=m&points=many", 422, "points"),
        ("?metric=m&points=100000", 400, "points"),
        ("?metric=m&from=soon", 400, "from"),
        ("?metric=m&from=2000000000000&to=1000000000000", 400, "from"),
        ("?metric=m&from=0&to=2000000000000", 400, "from"),
        ("?metric=m&level=10s&from=1000000000000&to=2000000000000", 400, "level"),
        ("?metric=%00", 400, "metric"),
        ("?metric=m&tenant=%00", 400, "tenant"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused_by_the_name_of_its_parameter(ask, query, status, field):
    answer = ask(f"/v1/devices/a/series{query}")
    assert (answer.status_code, answer.json()["field"]) == (status, field)
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.json()["detail"]) > 20


def test_addresses_and_methods_that_do_not_exist_are_problems_too(ask):
    assert ask("/v1/nothing").json()["type"] == "urn:headwater:problem:not-found"
    wrong = ask("/v1/status", "POST")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET")
    assert wrong.json()["detail"] == "expected GET at /v1/status, got POST."


def test_a_page_that_is_not_built_says_how_to_build_it(ask):
    answer = ask("/", key=None)
    assert answer.status_code == 503
    assert "make up" in answer.text


@pytest.fixture
def built(tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<title>page</title>")
    (tmp_path / "assets/app-1a2b.js").write_text("1")
    (tmp_path / "mark.svg").write_text("<svg/>")


@pytest.mark.parametrize(
    "path", ["/", "/index.html", "/devices/sim-0001", "/devices/boiler.1", "/sites/a.1", "/models/b.2", "/status"]
)
def test_the_page_answers_its_own_routes_and_is_asked_for_each_time(ask, built, path):
    answer = ask(path, key=None)
    assert (answer.status_code, answer.text) == (200, "<title>page</title>")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_hashed_files_are_kept_for_ever_and_others_for_a_day(ask, built):
    assert ask("/assets/app-1a2b.js", key=None).headers["cache-control"] == "public, max-age=31536000, immutable"
    assert ask("/mark.svg", key=None).headers["cache-control"] == "public, max-age=86400"


@pytest.mark.parametrize("path", ["/assets/gone.js", "/gone.png", "/assets/gone", "/..%2f..%2fetc%2fpasswd.txt"])
def test_a_file_that_is_not_there_is_not_the_page(ask, built, path):
    assert ask(path, key=None).status_code == 404


def test_the_description_is_whole_and_its_names_are_stable(ask):
    schema = ask("/openapi.json").json()
    operations = {way["operationId"]: way for ways in schema["paths"].values() for way in ways.values()}
    assert set(operations) == {
        "list_devices",
        "get_device",
        "get_latest",
        "get_series",
        "get_site_series",
        "get_model_series",
        "list_fleets",
        "get_readings",
        "get_events",
        "list_alerts",
        "get_alert",
        "acknowledge_alert",
        "take_acknowledgement_back",
        "list_rules",
        "list_device_rules",
        "get_rule",
        "list_rule_versions",
        "put_rule",
        "delete_rule",
        "get_registered_site",
        "put_registered_site",
        "patch_registered_site",
        "delete_registered_site",
        "get_registered_model",
        "put_registered_model",
        "patch_registered_model",
        "delete_registered_model",
        "get_registered_device",
        "put_registered_device",
        "patch_registered_device",
        "delete_registered_device",
        "list_sites",
        "list_models",
        "list_tenants",
        "get_tenant",
        "put_tenant",
        "list_registered_devices",
        "list_device_versions",
        "import_devices",
        "import_models",
        "import_sites",
        "rotate_token",
        "revoke_tokens",
        "list_provisioning_keys",
        "add_provisioning_key",
        "get_provisioning_key",
        "revoke_provisioning_key",
        "provision_device",
        "get_status",
        "get_health",
        "get_readiness",
        "get_metrics",
    }
    for name, operation in operations.items():
        assert operation["summary"], name
        assert operation["description"], name
        assert all(parameter.get("description") for parameter in operation.get("parameters", [])), name
        for status, answer in operation["responses"].items():
            if status not in ("200", "201", "204", "503"):
                assert "application/problem+json" in answer["content"], (name, status)
    for name in ("DeviceSummary", "Series", "StatusAnswer", "Problem"):
        assert "example" in schema["components"]["schemas"][name]
    assert "HTTPValidationError" not in str(schema)
    refs = set(re.findall(r"'#/components/schemas/(\w+)'", str(schema)))
    assert refs - set(schema["components"]["schemas"]) == set()
    assert "Threshold" in refs


def test_the_description_for_people_names_every_call_and_loads_nothing_from_elsewhere(ask):
    text = ask("/docs").text
    for path in ask("/openapi.json").json()["paths"]:
        assert path in text
    assert "/v1/live" in text
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")


def test_requests_are_counted_by_route_and_never_by_name(ask):
    ask("/v1/devices/secret-device/latest")
    text = ask("/metrics").text
    assert 'headwater_api_requests_total{method="GET",route="/v1/devices/{device}/latest",status="503"} 1.0' in text
    assert "secret-device" not in text


def test_delays_are_those_of_the_last_ten_seconds():
    changes = folded(*(row(pane=i, received=1_000 + i) for i in range(100))).since(FLEET, 0) or []
    delays = Delays()
    delays.add(changes, 1_100)
    assert delays.quantiles(1_100) == {"p50": 51, "p99": 100}
    assert delays.quantiles(20_000) == {"p50": None, "p99": None}


def test_a_rate_is_what_came_over_what_passed():
    rate = Rate()
    assert rate.add(100, 10.0) == 0
    assert rate.add(150, 11.0) == 50
    assert [rate.add(150 + 10 * s, 11.0 + s) for s in range(1, 8)][-1] == 10
