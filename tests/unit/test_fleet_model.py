import asyncio
import hashlib
import hmac
import random
import statistics
import time

import orjson
import pytest

from headwater.model.settings import FleetSettings
from headwater.workers.fleet import Member, newest_whole, payload
from headwater.workers.fleet_model import KINDS, SimulatedDevice, device_name, device_token, kind_of

DAY_MS = 86_400_000
START = 1_700_000_000_000 - 1_700_000_000_000 % DAY_MS


def test_the_same_seed_gives_the_same_values_and_another_seed_others():
    stamps = range(START, START + 60_000, 1_000)
    first, again, other = ([SimulatedDevice(3, seed).measure(ts) for ts in stamps] for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_devices_of_one_kind_differ():
    same_kind = 1 + len(KINDS)
    assert kind_of(1) == kind_of(same_kind)
    assert SimulatedDevice(1, 7).measure(START) != SimulatedDevice(same_kind, 7).measure(START)


@pytest.mark.parametrize("number", range(1, len(KINDS) + 1))
def test_values_stay_in_bounds_and_have_a_daily_curve_and_noise(number):
    device = SimulatedDevice(number, 7)
    metrics = KINDS[device.kind]
    assert 3 <= len(metrics) <= 5
    hours = [device.measure(START + hour * 3_600_000) for hour in range(24)]
    for metric in metrics:
        values = [row[metric.name] for row in hours]
        assert all(metric.low <= value <= metric.high for value in values)
        assert len(set(values)) > 12
    solar = metrics[-1].name == "solar_w_per_m2"
    if solar:
        assert max(range(24), key=lambda hour: hours[hour]["solar_w_per_m2"]) in range(10, 17)


def test_noise_is_around_zero():
    device = SimulatedDevice(5, 7)
    volts = [device.measure(START + ms)["voltage_volt"] for ms in range(0, 200, 1)]
    assert len(set(volts)) > 50
    assert abs(statistics.mean(volts) - statistics.median(volts)) < 0.2


def test_names_and_tokens_follow_the_contract():
    assert device_name(1) == "sim-0001"
    assert device_name(12_345) == "sim-12345"
    assert device_token("secret", "sim-0001") == hmac.new(b"secret", b"sim-0001", hashlib.sha256).hexdigest()


def test_one_measurement_is_an_object_and_several_are_columns():
    assert orjson.loads(payload([5], [{"a": 1.0}])) == {"ts": 5, "values": {"a": 1.0}}
    assert orjson.loads(payload([5, 6], [{"a": 1.0}, {"a": 2.0}])) == {"ts": [5, 6], "metrics": {"a": [1.0, 2.0]}}


@pytest.mark.parametrize("after_ms", [0, 3_701, 9_999])
def test_messages_of_whole_panes_lie_in_one_each_and_leave_nothing_out(after_ms):
    dice = random.Random(after_ms)
    due = [START + after_ms + number * 10_000 for number in range(50)]
    newest = [newest_whole(at + dice.randrange(-2, 4_000), after_ms, 10_000, 1_000) for at in due]  # timers are late
    assert newest == [newest[0] + number * 10_000 for number in range(50)]
    assert all(ts // 10_000 == (at - after_ms) // 10_000 - 1 for ts, at in zip(newest, due, strict=True))
    assert {(ts - 9_000) // 10_000 for ts in newest} == {ts // 10_000 for ts in newest}


def test_what_was_measured_while_nothing_could_be_sent_is_sent_when_it_goes_on():
    settings = FleetSettings(_env_file=None, fleet_every_ms=20, fleet_pack=5, fleet_whole=True)
    sent: list[list[int]] = []

    class Heard:
        def publish(self, topic: str, message: bytes) -> None:
            sent.append(orjson.loads(message)["ts"])

    async def starved() -> None:
        Member(SimulatedDevice(1, seed=1), settings, Heard()).start(0.3)
        await asyncio.sleep(0.25)
        time.sleep(0.5)  # the loop stands still, as in a process that gets no processor
        await asyncio.sleep(0.4)  # longer than its first phase, or a machine that stands still once might send too few

    asyncio.run(starved())
    stamps = [ts for message in sent for ts in message]
    assert len(sent) >= 8
    assert stamps == list(range(stamps[0], stamps[-1] + 1, 20))
    assert {len(message) for message in sent} == {5}
    assert all(message[0] // 100 == message[-1] // 100 for message in sent)
