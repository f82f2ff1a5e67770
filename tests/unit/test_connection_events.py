"""Events of devices: their ids, MQTT's reasons, and the state of connections that they leave, in whatever order."""

import itertools

import msgspec
import pytest

from connectors.sinks.connections import Connection, ends_and_begins
from headwater.broker.events import Events, Refusals
from headwater.model import codec
from headwater.model.event import BROKER_TENANT, DeviceEvent, Ended, Kind, reason_of


def event(kind: Kind = Kind.CONNECTED, connection: int = 7, **given) -> DeviceEvent:
    told = {"v": 1, "tenant": "demo", "device": "d", "at": 1_000, "client": "c", **given}
    return DeviceEvent(kind=kind.value, connection=connection, **told)


@pytest.mark.parametrize(
    ("code", "ended", "reason"),
    [
        ("NORMAL_DISCONNECTION", Ended.CLIENT, "normal-disconnection"),
        ("SUCCESS", Ended.CLIENT, "normal-disconnection"),
        (None, Ended.CLIENT, "normal-disconnection"),
        ("DISCONNECT_WITH_WILL_MESSAGE", Ended.CLIENT, "disconnect-with-will-message"),
        ("KEEP_ALIVE_TIMEOUT", Ended.SERVER, "keep-alive-timeout"),
        ("SESSION_TAKEN_OVER", Ended.SERVER, "session-taken-over"),
        ("NOT_AUTHORIZED", Ended.SERVER, "not-authorized"),
        ("SERVER_SHUTTING_DOWN", Ended.SERVER, "server-shutting-down"),
        (None, Ended.SERVER, "unspecified-error"),
        (None, Ended.NOBODY, "connection-lost"),
    ],
)
def test_a_reason_is_mqtts_own_name_or_says_who_ended_the_connection(code, ended, reason):
    assert reason_of(code, ended) == reason


def test_an_event_that_comes_again_has_the_same_id_and_no_other_event_has_it():
    first = event()
    assert codec.decode(DeviceEvent, codec.encode(first)).id == first.id
    others = {
        "tenant": "other",
        "device": "e",
        "at": 1_001,
        "connection": 8,
        "client": "other",
        "reason": "connection-lost",
        "kind": Kind.DISCONNECTED.value,
    }
    ids = {msgspec.structs.replace(first, **{name: value}).id for name, value in others.items()}
    assert len(ids | {first.id}) == len(others) + 1


def test_the_newest_connection_of_a_client_is_the_same_in_whatever_order_events_come():
    told = [
        event(connection=7, at=1_000),
        event(Kind.DISCONNECTED, connection=7, at=2_000, reason="connection-lost"),
        event(connection=8, at=3_000),
        event(Kind.DISCONNECTED, connection=8, at=4_000, reason="session-taken-over"),
        event(connection=9, at=4_000, address="10.0.0.9"),
        event(connection=3, at=500, client="other"),
    ]
    wanted = {
        ("demo", "d", "c"): Connection("demo", "d", "c", 9, since=4_000, address="10.0.0.9"),
        ("demo", "d", "other"): Connection("demo", "d", "other", 3, since=500),
    }
    for order in itertools.permutations(told):
        found = {(each.tenant, each.device, each.client): each for each in ends_and_begins([*order, order[0]])}
        assert found == wanted


def test_an_end_that_comes_before_its_beginning_is_kept():
    lost = event(Kind.DISCONNECTED, at=2_000, reason="connection-lost")
    [found] = ends_and_begins([lost, event(at=1_000), lost])
    assert (found.since, found.ended, found.reason) == (1_000, 2_000, "connection-lost")


class Bridge:
    """Takes what it is given while it has subscribed, at most `most` at a time."""

    def __init__(self, most: int = 10) -> None:
        self.most = most
        self.taken: list[DeviceEvent] = []

    def take(self, payloads: list[bytes]) -> int:
        taken = payloads[: self.most]
        self.taken += [codec.decode(DeviceEvent, payload) for payload in taken]
        return len(taken)


def test_events_reach_the_bridge_in_order_after_the_start_of_the_broker():
    bridge = Bridge(most=3)
    events = Events(bridge.take)
    told = [event(connection=events.number(), at=at) for at in range(10)]
    for each in told:
        events.tell(each)
        events.tell(msgspec.structs.replace(each, kind=Kind.DISCONNECTED.value))
    events.start()
    events.stop(within_s=60)
    began, *rest = bridge.taken
    assert (began.tenant, began.kind) == (BROKER_TENANT, Kind.BROKER_STARTED)
    assert [each.at for each in rest] == [at for at in range(10) for _ in range(2)]
    assert all(began.connection < each.connection for each in rest)


def test_a_bridge_that_has_not_subscribed_gets_all_that_found_room_later():
    bridge = Bridge(most=0)
    events = Events(bridge.take, most=4)
    events.start()
    for at in range(10):
        events.tell(event(Kind.REFUSED, at=at))
    bridge.most = 10
    events.stop(within_s=60)
    assert [each.at for each in bridge.taken[1:]] == [0, 1, 2]


def test_a_device_that_is_refused_for_ever_makes_an_event_a_minute_and_says_how_often():
    now = 0.0
    told: list[str] = []
    refusals = Refusals(lambda refused: told.append(refused.detail), lambda: now)
    for second in range(0, 121, 10):
        now = float(second)
        refusals.refused("demo", "d", lambda before: event(Kind.REFUSED, detail=before))
    assert told == ["", "5 more since the last event of this kind", "5 more since the last event of this kind"]


def test_many_devices_that_are_refused_at_once_make_few_events_and_forbidden_names_none():
    told: list[DeviceEvent] = []
    refusals = Refusals(told.append, lambda: 5.0)
    refusals.refused("_pulse", "d", lambda before: event(Kind.REFUSED))
    refusals.refused("demo", "a/b", lambda before: event(Kind.REFUSED))
    assert not told
    for number in range(100):
        refusals.refused("demo", f"d{number}", lambda before: event(Kind.REFUSED))
    assert len(told) == 10
