"""Events of devices from the sink to REST: each once, newest first, and the state of a connection that they give."""

import psycopg
import pytest

from connectors.sinks.events import EventSink
from headwater.model import codec
from headwater.model.event import BROKER_RESTARTED, BROKER_TENANT, DeviceEvent, Kind
from headwater.model.settings import SinkSettings
from tests.integration.api_server import Log, Stores, now_ms, served


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, kafka: str, stores: Stores):
    Log(kafka)
    with served(tmp_path_factory.mktemp("api"), kafka, stores.postgres, stores.valkey, ready=False) as running:
        yield running


@pytest.fixture
def sink(kafka: str, stores: Stores):
    made = EventSink(SinkSettings(kafka=kafka, postgres=stores.postgres, keep_events_each=5))
    yield made
    made.disconnect()


def store(sink: EventSink, *events: DeviceEvent) -> None:
    sink.write(events, {})
    sink.flush()


class Story:
    """Events of one device, a second apart, in the past."""

    def __init__(self, tenant: str, device: str = "d") -> None:
        self.at = now_ms() // 1_000 * 1_000 - 3_600_000
        self.connection = self.at * 1_000
        self.given = {"v": 1, "tenant": tenant, "device": device, "client": "c", "address": "10.0.0.7", "protocol": "5"}

    def tell(self, kind: Kind, reason: str = "", **more) -> DeviceEvent:
        self.at += 1_000
        self.connection += kind is Kind.CONNECTED
        given = {**self.given, "connection": self.connection, **more}
        return DeviceEvent(kind=kind.value, at=self.at, reason=reason, **given)

    def broker_started(self) -> DeviceEvent:
        self.connection += 1
        return self.tell(Kind.BROKER_STARTED, tenant=BROKER_TENANT, device=self.given["tenant"], client="")


def kinds(api, tenant: str, **query) -> list[tuple[str, str]]:
    found = api.json("/v1/devices/d/events", tenant=tenant, **query)["events"]
    return [(event["kind"], event["reason"]) for event in found]


def test_events_are_kept_once_and_come_newest_first_a_page_at_a_time(api, stores, sink, tenant):
    story = Story(tenant)
    came, lost, back = (
        story.tell(Kind.CONNECTED, session_present=True),
        story.tell(Kind.DISCONNECTED, "connection-lost", detail="of a test"),
        story.tell(Kind.CONNECTED),
    )
    for order in ([came, lost], [back, came], [lost, back, back]):
        store(sink, *order)
    first = api.json("/v1/devices/d/events", tenant=tenant, limit=2)
    rest = api.json("/v1/devices/d/events", tenant=tenant, limit=2, cursor=first["next"])
    assert [event["at"] for event in first["events"] + rest["events"]] == [back.at, lost.at, came.at, came.at]
    assert rest["next"] is None
    assert {event["kind"] for event in rest["events"]} == {"connected", "first-seen"}
    assert first["events"][1] == {
        "id": lost.id,
        "at": lost.at,
        "kind": "disconnected",
        "reason": "connection-lost",
        "connection": lost.connection,
        "client": "c",
        "address": "10.0.0.7",
        "protocol": "5",
        "session_present": False,
        "detail": "of a test",
    }
    assert kinds(api, tenant, kind="disconnected") == [("disconnected", "connection-lost")]
    with psycopg.connect(stores.postgres) as connection:
        waiting = connection.execute("select value from outbox where key = %s", [f"{tenant}/d"]).fetchall()
    [first_seen] = [codec.decode(DeviceEvent, value.encode()) for (value,) in waiting]
    assert first_seen.id in {event["id"] for event in rest["events"]}
    assert kinds(api, tenant, **{"from": lost.at, "to": back.at}) == [("disconnected", "connection-lost")]


def test_the_state_of_a_connection_stands_in_the_list_and_with_the_device(api, stores, sink, tenant):
    stores.register(tenant, "d", "never")
    story = Story(tenant)
    came = story.tell(Kind.CONNECTED)
    store(sink, came)
    there = {"connected": True, "since": came.at, "reason": "", "address": "10.0.0.7"}
    assert api.json("/v1/devices/d", tenant=tenant)["connection"] == there
    gone = story.tell(Kind.DISCONNECTED, "keep-alive-timeout")
    store(sink, gone)
    away = {"connected": False, "since": gone.at, "reason": "keep-alive-timeout", "address": "10.0.0.7"}
    listed = api.json("/v1/devices", tenant=tenant)["devices"]
    assert {each["device"]: each["connection"] for each in listed} == {"d": away, "never": None}


def test_a_start_of_the_broker_ends_older_connections_until_their_true_end_is_known(api, stores, sink, tenant):
    stores.register(tenant, "d")
    story = Story(tenant)
    came = story.tell(Kind.CONNECTED)
    lost = story.tell(Kind.DISCONNECTED, "connection-lost")
    started = story.broker_started()
    store(sink, came, started)
    assert kinds(api, tenant, kind="disconnected") == [("disconnected", BROKER_RESTARTED)]
    assert api.json("/v1/devices/d", tenant=tenant)["connection"]["since"] == started.at
    store(sink, lost)
    assert kinds(api, tenant, kind="disconnected") == [("disconnected", "connection-lost")]
    assert api.json("/v1/devices/d", tenant=tenant)["connection"]["since"] == lost.at
    back = story.tell(Kind.CONNECTED)
    store(sink, started, back)
    assert api.json("/v1/devices/d", tenant=tenant)["connection"]["connected"]


def test_of_a_device_the_newest_events_stay_and_what_is_too_old_goes(api, sink, tenant):
    story = Story(tenant)
    ancient = story.tell(Kind.MOVED, connection=0)
    many = [story.tell(Kind.MOVED, connection=0) for _ in range(9)]
    store(sink, *many, DeviceEvent(**{**story.given, "kind": "moved", "at": ancient.at - 40 * 86_400_000}))
    sink.upkeep()
    found = api.json("/v1/devices/d/events", tenant=tenant)["events"]
    assert [event["at"] for event in found] == [event.at for event in reversed(many[-5:])]


def test_what_cannot_be_asked_is_refused_with_what_to_do(api, stores, tenant):
    stores.register(tenant, "quiet")
    assert api.json("/v1/devices/quiet/events", tenant=tenant)["events"] == []
    for status, query in (
        (404, {}),
        (422, {"kind": "no-such"}),
        (400, {"cursor": "x"}),
        (400, {"from": "2000", "to": "1000"}),
    ):
        answer = api.get("/v1/devices/nobody/events", tenant=tenant, **query)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), query
