"""What the alerting job knows of rules and devices, and up to when nothing is missing."""

import msgspec

from headwater.model.device import DeviceRecord
from headwater.model.rule import Threshold
from headwater.rules.desk import DEVICE, RULE, Desk
from headwater.rules.item import Slice
from headwater.rules.state import State
from headwater.rules.step import step
from tests.unit.rules_logs import rule

HOT = rule(Threshold(metric="m", above=5.0), name="hot")


def record(version: int, **given) -> bytes:
    return msgspec.json.encode(DeviceRecord(v=1, tenant="demo", device="d", version=version, changed_ms=0, **given))


def test_nothing_is_known_before_every_partition_of_both_has_come():
    desk = Desk(2, 500)
    for kind, partition in ((RULE, 0), (RULE, 1), (DEVICE, 0)):
        desk.reached(kind, partition, 1_000)
    assert desk.known_until < 0
    desk.reached(DEVICE, 1, 800)
    assert desk.known_until == 800 + 500 - 1
    desk.reached(DEVICE, 1, 700)
    assert desk.known_until == 1_299


def test_a_rule_counts_after_the_delay_and_a_repeat_or_garbage_says_nothing_new():
    desk = Desk(1, 500)
    assert not desk.watches("demo")
    assert desk.take(RULE, 1_000, msgspec.json.encode(HOT))
    assert not desk.take(RULE, 2_000, msgspec.json.encode(HOT))
    assert not desk.take(RULE, 2_000, b'{"v":1,"tenant":"_pulse","beat":0}')
    assert not desk.take(DEVICE, 2_000, b'{"v":1,"tenant":"_pulse","beat":0}')
    assert not desk.take(RULE, 2_000, b"no json")
    assert desk.watches("demo")
    rules = desk.rules("demo", "d")
    assert not step(rules, State(), Slice("m", [1], [9.0], 1_499))[0]
    assert step(rules, State(), Slice("m", [1], [9.0], 1_500))[0]


def test_a_device_that_moves_is_meant_by_other_rules_from_then_on():
    desk = Desk(1, 500)
    scoped = msgspec.json.decode(msgspec.json.encode(HOT)) | {"scope": {"site": "north"}}
    assert desk.take(RULE, 0, msgspec.json.encode(scoped))
    assert desk.take(DEVICE, 1_000, record(1, site="north"))
    assert not desk.take(DEVICE, 1_100, record(1, site="north"))
    assert desk.take(DEVICE, 2_000, record(2, site="south"))
    rules = desk.rules("demo", "d")
    told = [bool(step(rules, State(), Slice("m", [1], [9.0], at))[0]) for at in (1_499, 1_500, 2_499, 2_500)]
    assert told == [False, True, True, False]
