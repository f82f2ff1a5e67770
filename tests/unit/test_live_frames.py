"""Frames: made once, shared, and equal to what a naive encoder would have said."""

import json

import pytest

from api.state.live import LiveLog
from api.state.rows import Cells, Subscription
from api.ws import messages
from api.ws.frames import Frames
from api.ws.messages import Ping, Subscribe
from headwater.model.errors import BadRequest
from tests.unit.test_live_core import FLEET, row


def core(devices: int = 5) -> tuple[LiveLog, Frames]:
    live = LiveLog(1_000, 1)
    live.begin({0: 0})
    for offset in range(devices * 2):
        live.fold(0, offset, row(f'd{offset % devices} "ü\\', "m" if offset < devices else "n", last=offset / 3))
    return live, Frames(live)


def naive(changes) -> dict:
    return {name: [getattr(change.cells, name) for change in changes] for name in Cells._fields}


def by_row(columns: dict) -> list:
    return sorted(zip(*(columns[name] for name in Cells._fields), strict=True))


@pytest.mark.parametrize("devices", [None, frozenset({'d1 "ü\\'}), frozenset({'d1 "ü\\', 'd3 "ü\\', "nobody"})])
def test_a_frame_says_what_a_naive_encoder_says(devices):
    live, frames = core()
    wants = Subscription("demo", devices)
    rows, snapshot = json.loads(frames.since(wants, 0) or "{}"), json.loads(frames.snapshot(wants))
    expected = by_row(naive(live.since(wants, 0)))
    assert expected
    assert by_row(rows["columns"]) == expected
    assert by_row(snapshot["columns"]) == by_row(naive(live.newest(wants)))
    assert rows["cursor"] == snapshot["cursor"] == "0:10"
    assert (snapshot["type"], snapshot["resumed"], rows["type"]) == ("snapshot", False, "rows")


def test_clients_that_want_the_same_get_the_very_same_text():
    _, frames = core()
    assert frames.since(FLEET, 0) is frames.since(Subscription("demo"), 0)
    assert frames.snapshot(FLEET) is frames.snapshot(FLEET)
    assert frames.since(FLEET, 0) is not frames.since(FLEET, 3)


def test_a_frame_is_not_kept_beyond_its_tick():
    live, frames = core()
    before = frames.since(FLEET, 0)
    live.fold(0, 10, row("new"))
    assert "new" in (frames.since(FLEET, 0) or "")
    assert before != frames.since(FLEET, 0)
    frames.forget()
    assert not frames._frames
    assert not frames._parts


def test_a_client_without_news_gets_nothing_but_can_be_told_where_the_log_is():
    live, frames = core()
    assert frames.since(Subscription("demo", frozenset({"nobody"})), 0) == ""
    assert frames.since(FLEET, live.seq) == ""
    told = json.loads(frames.nothing(FLEET))
    assert (told["cursor"], told["columns"]["device"]) == ("0:10", [])


def test_a_resumed_client_is_told_so_even_if_nothing_changed():
    _, frames = core()
    told = json.loads(frames.resume(FLEET, {0: 10}) or "{}")
    assert (told["type"], told["resumed"], told["columns"]["metric"]) == ("rows", True, [])


def test_values_that_json_cannot_say_are_null():
    live, frames = core(0)
    live.fold(0, 0, row(sum=float("inf"), max=float("nan")))
    columns = json.loads(frames.snapshot(FLEET))["columns"]
    assert (columns["sum"], columns["mean"], columns["max"]) == ([None], [None], [None])


def test_messages_of_clients_are_read():
    assert messages.read('{"type":"ping","t":1.5}') == Ping(t=1.5)
    said = messages.read('{"type":"subscribe","tenant":"demo","devices":["a","b","a"],"cursor":"0:1"}')
    assert isinstance(said, Subscribe)
    assert said.subscription == Subscription("demo", frozenset("ab"))
    assert said.positions == {0: 1}
    assert messages.read('{"type":"subscribe","tenant":"demo","devices":null,"cursor":null}').subscription == FLEET


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "nonsense", '{"type":"subscribe","devices":"a"}', b"\xff", '{"type":"x"}']
)
def test_what_is_no_message_is_refused_with_what_was_expected(text):
    with pytest.raises(BadRequest, match="expected"):
        messages.read(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"subscribe","tenant":"_pulse"}',
        '{"type":"subscribe","tenant":""}',
        json.dumps({"type": "subscribe", "devices": ["a"] * 10_001}),
    ],
)
def test_a_subscription_that_nobody_may_have_is_refused(text):
    with pytest.raises(BadRequest, match="expected"):
        _ = messages.read(text).subscription
