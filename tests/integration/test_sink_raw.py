"""The contract of the raw store: whatever is played, twice, late, shuffled or broken off, each reading is held once."""

import json
import random

import pytest

from connectors.sinks.clickhouse import ClickHouseSink, Records
from headwater.model import codec
from headwater.model.pack import PANE_MS, PULSE_TENANT
from headwater.raw.client import Position, connect_to, edge, newest_log, positions
from headwater.truth.logs import LogShape, random_log
from tests.integration.raw_sinks import RawStore, folded, fresh_store, opened, pack, records
from tests.integration.sinks import T0

DAY_MS = 86_400_000


@pytest.fixture
def store(clickhouse: str) -> RawStore:
    return fresh_store(clickhouse)


def history(tenant: str, seed: int) -> list:
    """Packs of a random log with copies of every kind, all in one partition."""
    log = random_log(seed, LogShape(devices=3, seconds=60, partitions=1, tenant=tenant), with_pulses=False)
    return [record.pack for record in log]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_played_twice_and_shuffled_the_first_in_the_log_stays(store: RawStore, tenant: str, seed: int):
    packs = history(tenant, seed)
    log = records(packs)
    shuffled = random.Random(seed).sample(log, len(log))
    with opened(store) as sink:
        for order in (shuffled, log):
            for start in range(0, len(order), 17):
                sink.write(order[start : start + 17], {0: 1})
                sink.flush()
            assert store.readings(tenant) == folded(packs)
    plain = {key: value for each in packs for key, value in folded([each]).items()}
    assert plain != folded(packs), "the control: the last in the log is not the first"


def test_a_log_that_was_made_anew_replaces_nothing(store: RawStore, tenant: str):
    first, second = pack(tenant, metrics={"t": [1.0]}), pack(tenant, metrics={"t": [2.0]})
    with opened(store, "old") as sink:
        sink.write(records([first], first=900), {0: 901})
        sink.flush()
    with opened(store, "new") as sink:
        assert sink.positions() == {}, "positions of another log do not count"
        sink.write(records([second, pack(tenant, at=[6])]), {0: 2})
        sink.flush()
        assert newest_log(connect_to(store.url)) == "new"
        assert positions(connect_to(store.url))[0].next_offset == 2
    assert store.readings(tenant) == folded([first, pack(tenant, at=[6])])


def test_two_instances_at_once_hold_the_same(store: RawStore, tenant: str):
    packs = history(tenant, seed=4)
    log = records(packs)
    with opened(store) as one, opened(store) as other:
        for start in range(0, len(log), 20):
            one.write(log[start : start + 20], {0: start})
            one.flush()
            other.write(log[max(0, start - 30) : start + 10], {0: start})
            other.flush()
        one.write(log[-20:], {0: len(log)})
        one.flush()
    assert store.readings(tenant) == folded(packs)


class Hasty(ClickHouseSink):
    """The control: positions before readings."""

    def store(self, batch) -> None:
        super().store(Records([], batch.positions))
        super().store(batch)


@pytest.mark.parametrize("gone", ["reading", "raw_position"])
@pytest.mark.parametrize("kind", [ClickHouseSink, Hasty])
def test_a_flush_that_fails_in_mid_batch_moves_no_position_and_reading_again_mends_it(
    store: RawStore, tenant: str, gone: str, kind: type[ClickHouseSink]
):
    packs = [pack(tenant, f"d{number % 7}", T0 + number * PANE_MS) for number in range(60)]
    log = records(packs)
    sink = kind(store.settings)
    sink.log_id = "log-1"
    sink.positions()
    sink.write(log[:20], {0: 20})
    sink.flush()
    store.execute(f"rename table {gone} to away")
    sink.write(log[20:40], {0: 40})
    with pytest.raises(sink.outages):
        sink.flush()
    store.execute(f"rename table away to {gone}")
    sink.reset()
    resume = sink.positions()[0]
    sink.write(log[resume:], {0: 60})
    sink.flush()
    assert sink.positions() == {0: 60}
    sink.disconnect()
    if kind is Hasty and gone == "reading":
        assert store.readings(tenant) != folded(packs), "the control must lose readings"
    else:
        assert resume == 20, "a flush that failed must not move the position"
        assert store.readings(tenant) == folded(packs)


def test_close_flushes(store: RawStore, tenant: str):
    sink = store.sink()
    sink.positions()
    sink.write(records([pack(tenant)]), {0: 1})
    sink.close()
    assert store.readings(tenant) == folded([pack(tenant)])


def test_names_and_texts_of_any_letters_come_back_as_they_were(store: RawStore, tenant: str):
    names = [
        "plain",
        "tab\there",
        "line\nbreak",
        "back\\slash",
        "\\N",
        "quote'\"",
        "Grüße 🌡",
        "{braces}",
        "\x01\x7f",
        "",
    ]
    packs = [pack(tenant, device, texts={metric: [metric]}) for device in names for metric in names]
    with opened(store) as sink:
        sink.write(records(packs), {0: len(packs)})
        sink.flush()
    assert store.readings(tenant) == folded(packs)


def test_numbers_keep_every_bit_and_kinds_stay_apart(store: RawStore, tenant: str):
    dice = random.Random(6)
    odd = [0.1 + 0.2, 5e-324, 9.9e99, -9.9e99, -0.0, 1 / 3, 2.2250738585072014e-308, 1e23, 0.0]
    odd += [dice.uniform(-1, 1) * 10 ** dice.randint(-300, 99) for _ in range(300)]
    packs = [pack(tenant, at=[0], pane=T0 + PANE_MS * place, metrics={"x": [value]}) for place, value in enumerate(odd)]
    packs.append(
        pack(tenant, "k", at=[1, 2], metrics={"x": [1.0, 2.0]}, texts={"x": ["a", "b"]}, flags={"x": [True, False]})
    )
    with opened(store) as sink:
        sink.write(records(packs), {0: len(packs)})
        sink.flush()
    held, wanted = store.readings(tenant), folded(packs)
    assert held == wanted
    assert {key: str(value) for key, value in held.items()} == {key: str(value) for key, value in wanted.items()}


def test_beats_move_the_log_time_and_are_no_readings(store: RawStore):
    beats = [pack(PULSE_TENANT, "raw-sensor-data-2", metrics={"beat": [1.0]})] * 3
    with opened(store) as sink:
        sink.write(records(beats, first=7, partition=2), {2: 10})
        sink.flush()
        sink.write([], {2: 12})
        sink.flush()
    assert store.readings(PULSE_TENANT) == {}
    assert positions(connect_to(store.url)) == {2: Position(12, T0 + 20_002)}


def broken(tenant: str) -> list[bytes]:
    """Records that are no packs."""
    good = json.loads(codec.encode(pack(tenant, "bad", at=[1, 2])))
    changed = [
        {"v": 2},
        {"v": None},
        {"tenant": None},
        {"device": None},
        {"pane": T0 + 1},
        {"pane": -10_000},
        {"pane": 253_402_300_800_000},
        {"at": []},
        {"at": [2, 1]},
        {"at": [1, 1]},
        {"at": [1, 10_000]},
        {"at": [-1, 2]},
        {"at": [1, None]},
        {"at": "x"},
        {"at": list(range(33)), "metrics": {"t": [1.0] * 33}},
        {"metrics": {"t": [1.0]}},
        {"metrics": {"t": [1.0, None]}},
        {"metrics": {"t": [1.0, 1e100]}},
        {"metrics": {"t": None}},
        {"metrics": {}},
    ]
    rubbish = [b"", b"no json", b"\xff\xfe\x00", b"[]", b"null", b"[" * 5_000, b'{"a":' * 3_000, b'[1,"t","d",0,[0]]']
    return [json.dumps({**good, **change}).encode() for change in changed] + rubbish


def test_what_is_no_pack_is_passed_over_and_counted(store: RawStore, tenant: str):
    bad = broken(tenant)
    packs = [pack(tenant, f"d{number}") for number in range(len(bad))]
    mixed = [each for pair in zip(packs, bad, strict=True) for each in pair]
    letters: list = []
    with opened(store) as sink:
        sink.refuse = lambda items, why, reason="bad-record": letters.extend(items)
        sink.write(records(mixed), {0: len(mixed)})
        sink.flush()
        assert sink.passed_over == len(bad)
        assert sink.positions() == {0: len(mixed)}
    assert store.readings(tenant) == folded(packs)
    assert letters == [], "the job makes dead letters of them"
    refused = store.query("select log_offset, reason from raw_refused final order by log_offset")
    assert refused == [(2 * place + 1, "bad-record") for place in range(len(bad))]


def test_no_bytes_whatever_stop_the_sink(store: RawStore, tenant: str):
    dice = random.Random(7)
    good = codec.encode(pack(tenant, at=[1, 2, 3], texts={"s": ["a", "b", "c"]}, flags={"f": [True, False, True]}))
    values = []
    for _ in range(3_000):
        value = bytearray(good)
        for _ in range(dice.randrange(1, 6)):
            place = dice.randrange(len(value))
            if dice.random() < 0.4:
                value[place] = dice.randrange(256)
            elif dice.random() < 0.5:
                del value[place : place + dice.randrange(1, 9)]
            else:
                value[place:place] = bytes(dice.choices(b'[]{}",:0123456789-+eE.\\ntfu', k=dice.randrange(1, 5)))
        values.append(bytes(value))
    with opened(store) as sink:
        sink.write(records(values), {0: len(values)})
        sink.flush()
        sink.write(records([pack(tenant, "after")], first=len(values)), {0: len(values) + 1})
        sink.flush()
        assert sink.positions() == {0: len(values) + 1}
    assert (tenant, "after", "t", "number", T0 + 5) in store.readings(tenant)


def test_a_record_that_the_store_can_never_take_is_refused_alone(store: RawStore, tenant: str):
    store.execute("alter table reading add constraint never check device != 'poison'")
    packs = [pack(tenant, device) for device in ("a", "b", "poison", "c", "d")]
    letters: list = []
    with opened(store) as sink:
        sink.refuse = lambda items, why, reason="bad-record": letters.extend(sink.letter(item) for item in items)
        sink.write(records(packs), {0: 5})
        sink.flush()
        assert sink.positions() == {0: 5}
    assert store.readings(tenant) == folded([each for each in packs if each.device != "poison"])
    assert letters == [(codec.encode(packs[2]), tenant, "poison")]


def test_retention_writes_its_edge_drops_whole_days_and_takes_nothing_behind_it(store: RawStore, tenant: str):
    days = [pack(tenant, pane=T0 + day * DAY_MS, at=[0, 9_999]) for day in range(6)]
    letters: list = []
    with opened(store) as sink:
        sink.refuse = lambda items, why, reason="bad-record": letters.extend((item.value, reason) for item in items)
        sink.write(records(days), {0: 6})
        sink.flush()
        client = connect_to(store.url)
        now = T0 + 5 * DAY_MS + 3_600_000
        sink._retention._days = 2
        dropped = sink._retention.move(client, now)
        before = now // DAY_MS * DAY_MS - 2 * DAY_MS
        assert edge(client) == before
        assert dropped == [T0 // DAY_MS, T0 // DAY_MS + 1, T0 // DAY_MS + 2]
        assert store.readings(tenant) == folded(days[3:])
        late = [pack(tenant, pane=before - PANE_MS, at=[3]), pack(tenant, pane=before, at=[4])]
        sink.write(records([*days, *late], first=6), {0: 14})
        sink.flush()
        assert store.readings(tenant) == folded([*days[3:], late[1]]), "what was removed does not come back"
        assert letters == [(codec.encode(each), "past-retention") for each in (*days[:3], late[0])]
        store.execute("truncate table raw_edge")
        sink.write(records(days, first=14), {0: 20})
        sink.flush()
        assert store.readings(tenant) == folded([*days, late[1]]), "the control: without an edge it does come back"
        sink._retention.move(client, now)
        assert store.readings(tenant) == folded([*days[3:], late[1]]), "and is dropped at the next turn"
        assert sink._retention.move(client, now - 4 * DAY_MS) == []
        assert edge(client) == before, "the edge is never moved back"


def test_many_days_in_one_batch_are_taken(store: RawStore, tenant: str):
    packs = [pack(tenant, pane=T0 - day * DAY_MS) for day in range(150)]
    with opened(store) as sink:
        sink.write(records(packs), {0: 150})
        sink.flush()
    assert len(store.readings(tenant)) == 150
