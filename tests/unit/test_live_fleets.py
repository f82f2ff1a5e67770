"""Rows of sites and models in the live core: for those who name them, and counted nowhere."""

from api.state.live import LiveLog
from api.state.rows import Subscription
from tests.unit.test_live_core import FLEET, T0, row

SITE, MODEL = "_site/north", "_model/boiler"


def folded() -> LiveLog:
    live = LiveLog(100, 1)
    live.begin({0: 0})
    for offset, device in enumerate(("a", SITE, "b", MODEL)):
        assert live.fold(0, offset, row(device, count=3)) is not None
    return live


def devices(changes) -> list[str]:
    return sorted(change.cells.device for change in changes)


def test_whoever_wants_all_devices_gets_devices():
    live = folded()
    assert devices(live.newest(FLEET)) == ["a", "b"]
    assert devices(live.since(FLEET, 0)) == ["a", "b"]
    assert devices(live.resume(FLEET, {0: 0})) == ["a", "b"]


def test_whoever_names_a_site_gets_its_rows():
    live, wanted = folded(), Subscription("demo", frozenset({SITE, "b"}))
    assert devices(live.newest(wanted)) == [SITE, "b"]
    assert devices(live.since(wanted, 0)) == [SITE, "b"]
    assert devices(live.resume(wanted, {0: 0})) == [SITE, "b"]


def test_their_readings_are_those_of_devices_once_more_and_are_not_counted_again():
    live = folded()
    assert live.readings == 6
    assert live.active(T0) == 2
    assert live.names("demo") == ["a", "b"]
    assert live.fleets("demo") == [MODEL, SITE]
