"""Events of devices: their ids, MQTT's reasons, and the state of connections that they leave, in whatever order."""

import msgspec
import pytest

from headwater.model import codec
from headwater.model.event import DeviceEvent, Ended, Kind, reason_of


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
