"""Alerts over REST: which are active, what was, the story of each, and who has seen it."""

import uuid

import msgspec
import pytest

from connectors.sinks.alerts import AlertSink
from headwater.model.alert import AlertEvent
from headwater.model.settings import SinkSettings
from tests.integration.api_server import Log, Stores, served
from tests.integration.test_alert_sink import episodes, story

NOBODY = "0" * 32


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, kafka: str, stores: Stores):
    Log(kafka)
    with served(tmp_path_factory.mktemp("api"), kafka, stores.postgres, stores.valkey, ready=False) as running:
        yield running


@pytest.fixture(scope="module")
def tenant() -> str:
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def told(kafka: str, stores: Stores, tenant: str) -> list[AlertEvent]:
    """A story of many episodes, of which the newest are active, in the store."""
    events = [msgspec.structs.replace(event, tenant=tenant) for event in story(2)]
    sink = AlertSink(SinkSettings(kafka=kafka, postgres=stores.postgres))
    sink.write(events, {})
    sink.flush()
    sink.disconnect()
    return events


def ids(api, tenant: str, **query) -> list[str]:
    return [one["alert_id"] for one in api.json("/v1/alerts", tenant=tenant, **query)["alerts"]]


def test_those_that_are_active_come_unless_asked_for_others(api, tenant, told):
    found = episodes(told)
    active = {alert for alert, row in found.items() if row[6] is None}
    assert active
    assert active != found.keys()
    assert set(ids(api, tenant)) == active
    assert set(ids(api, tenant, condition="cleared", limit=1_000)) == found.keys() - active
    assert set(ids(api, tenant, condition="any", limit=1_000)) == found.keys()
    assert ids(api, "nobody") == []


def test_pages_follow_each_other_without_a_gap_the_last_changed_first(api, tenant, told):
    seen, cursor = [], ""
    while cursor is not None:
        page = api.json("/v1/alerts", tenant=tenant, condition="any", limit=7, cursor=cursor)
        seen, cursor = seen + page["alerts"], page["next"]
    assert len(seen) == len({one["alert_id"] for one in seen}) == len(episodes(told))
    assert [one["changed"] for one in seen] == sorted((one["changed"] for one in seen), reverse=True)


def test_they_are_found_by_severity_rule_and_device(api, tenant, told):
    found = episodes(told)
    severe = {alert for alert, row in found.items() if row[2] in ("major", "critical")}
    assert severe
    assert severe != found.keys()
    assert set(ids(api, tenant, condition="any", at_least="major", limit=1_000)) == severe
    cold = {alert for alert, row in found.items() if row[0] == "cold"}
    assert set(ids(api, tenant, condition="any", rule="cold", limit=1_000)) == cold
    assert set(ids(api, tenant, condition="any", device="d", limit=1_000)) == found.keys()
    assert ids(api, tenant, condition="any", device="e") == []


def test_they_are_found_by_site_model_and_tag_of_the_device_a_page_at_a_time(api, kafka, stores, told):
    tenant = f"t{uuid.uuid4().hex[:8]}"
    sink = AlertSink(SinkSettings(kafka=kafka, postgres=stores.postgres))
    named = [(event, "abc"[int(event.alert_id[:4], 16) % 3]) for event in told]
    sink.write([msgspec.structs.replace(event, tenant=tenant, device=device) for event, device in named], {})
    sink.flush()
    sink.disconnect()
    of = {device: {event.alert_id for event, one in named if one == device} for device in "abc"}
    assert all(of.values())
    assert ids(api, tenant, condition="any", site="north") == [], "of a device that nobody has registered"
    stores.register(tenant, "a", "b", "c")
    stores.execute("insert into site (tenant, site, version, changed) values (%s, 'north', 1, now())", tenant)
    stores.execute("insert into model (tenant, model, version, changed) values (%s, 'pump', 1, now())", tenant)
    stores.execute("update device set site = 'north' where tenant = %s and device in ('a', 'b')", tenant)
    stores.execute("update device set model = 'pump' where tenant = %s and device in ('b', 'c')", tenant)
    stores.execute("update device set tags = '{roof,spare}' where tenant = %s and device = 'c'", tenant)

    def found(**query) -> set[str]:
        return set(ids(api, tenant, condition="any", limit=1_000, **query))

    assert found(site="north") == of["a"] | of["b"]
    assert found(model="pump") == of["b"] | of["c"]
    assert found(tag="spare") == of["c"]
    assert found(site="north", model="pump") == of["b"]
    assert found(site="north", tag="spare") == found(site="south") == set()
    assert found(model="pump", rule="cold") == found(rule="cold") & found(model="pump")
    seen, cursor = [], ""
    while cursor is not None:
        page = api.json("/v1/alerts", tenant=tenant, condition="any", site="north", limit=3, cursor=cursor)
        seen, cursor = seen + [one["alert_id"] for one in page["alerts"]], page["next"]
    assert len(seen) == len(of["a"] | of["b"]) > 3
    assert set(seen) == of["a"] | of["b"]
    stores.execute("update device set site = null where tenant = %s and device = 'a'", tenant)
    assert found(site="north") == of["b"], "where the device is now"
    assert api.get("/v1/alerts", tenant=tenant, site="a\0b").status_code == 400


def test_the_story_of_an_alert_is_whole_and_in_order(api, tenant, told):
    alert = next(event.alert_id for event in told if event.happened == "escalated")
    answer = api.json(f"/v1/alerts/{alert}", tenant=tenant)
    mine = [event for event in told if event.alert_id == alert]
    assert [(one["happened"], one["event_time"], one["value"]) for one in answer["events"]] == [
        (event.happened, event.event_time, event.value) for event in mine
    ]
    assert (answer["rule"], answer["severity"]) == (mine[-1].rule, mine[-1].severity)


def test_an_alert_is_acknowledged_and_that_is_taken_back(api, tenant, told):
    alert = ids(api, tenant)[0]
    path = f"/v1/alerts/{alert}/acknowledgement"
    answer = api.send("PUT", path, {"by": "shift-2", "comment": "on my way"}, tenant=tenant)
    first = answer.json()["acknowledged"]
    assert (answer.status_code, first["by"], first["comment"]) == (200, "shift-2", "on my way")
    again = api.send("PUT", path, {"by": "shift-2", "comment": "mended"}, tenant=tenant).json()["acknowledged"]
    assert again == {**first, "comment": "mended"}
    assert ids(api, tenant, acknowledged=True) == [alert]
    assert alert not in ids(api, tenant, acknowledged=False)
    assert alert in ids(api, tenant)
    assert api.send("DELETE", path, tenant=tenant).status_code == 204
    assert ids(api, tenant, acknowledged=True) == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("GET", f"/v1/alerts/{NOBODY}", None, 404, "expected an alert of tenant"),
        ("PUT", f"/v1/alerts/{NOBODY}/acknowledgement", {"by": "me"}, 404, "expected an alert of tenant"),
        ("DELETE", f"/v1/alerts/{NOBODY}/acknowledgement", None, 404, "acknowledged"),
        ("PUT", f"/v1/alerts/{NOBODY}/acknowledgement", {"comment": "who?"}, 422, "by"),
        ("GET", "/v1/alerts?condition=open", None, 422, "active"),
        ("GET", "/v1/alerts?at_least=bad", None, 422, "critical"),
        ("GET", "/v1/alerts?cursor=x", None, 400, "cursor"),
        ("GET", "/v1/alerts/a%00b", None, 400, "NUL"),
    ],
)
def test_what_is_wrong_is_said(api, method, path, body, status, says):
    answer = api.send(method, path, body)
    assert answer.status_code == status
    assert says in answer.text
