"""Where devices belonged, as the raw store keeps it: every change once, whatever is played twice or broken off."""

import json
import random
import uuid
from typing import NamedTuple

import pytest

from connectors.sinks.places import PlaceSink
from headwater.model import codec
from headwater.model.device import DeviceRecord
from headwater.model.errors import BadRecord
from headwater.model.stores import DEVICE_PLACES, PLACE_POSITIONS
from headwater.model.topics import DEVICE_REGISTRY
from headwater.raw.client import connect_to, places_known
from headwater.workers.pulse import beat
from tests.integration.raw_sinks import RawStore, fresh_store


class Message(NamedTuple):
    """A record as Kafka's client gives it."""

    at: tuple[int, int, int]
    given: tuple[bytes, bytes]

    def partition(self) -> int:
        return self.at[0]

    def offset(self) -> int:
        return self.at[1]

    def timestamp(self) -> tuple[int, int]:
        return 1, self.at[2]

    def key(self) -> bytes:
        return self.given[0]

    def value(self) -> bytes:
        return self.given[1]


@pytest.fixture
def store(clickhouse: str) -> RawStore:
    return fresh_store(clickhouse)


def record(device: str, site: str | None, model: str | None = None, version: int = 1) -> tuple[bytes, bytes]:
    said = DeviceRecord(v=1, tenant="t", device=device, version=version, changed_ms=0, site=site, model=model)
    return codec.device_key("t", device), codec.encode(said)


def log_of(seed: int) -> list[Message]:
    """Devices that move, are published again, and have no place for a while; a beat now and then."""
    dice, where, log = random.Random(seed), dict.fromkeys("abcd", None), []
    for offset in range(200):
        device = dice.choice("abcd")
        if dice.random() < 0.3:
            where[device] = dice.choice(["north", "south", None])
        given = record(device, where[device]) if offset % 5 else beat(DEVICE_REGISTRY, 0, 0)
        log.append(Message((0, offset, 1_000 + 3 * offset), given))
    return log


def places(log: list[Message]) -> list[tuple]:
    """(device, log time, site) where it is not what it was before."""
    last: dict[str, str] = {}
    found = []
    for message in log:
        said = json.loads(message.value())
        device, site = said.get("device"), said.get("site") or ""
        if device and last.get(device, "") != site:
            last[device] = site
            found.append((device, message.timestamp()[1], site))
    return sorted(found)


def opened(store: RawStore, log_id: str = "log") -> PlaceSink:
    sink = PlaceSink(store.settings)
    sink.log_id = log_id
    return sink


def held(store: RawStore) -> list[tuple]:
    """What readers see: the place in force at each log time at which something was stored."""
    rows = store.query("select device, said from place where tenant = 't'")
    found = []
    for device, said in rows:
        last = ""
        for log_time, _, site, _ in said:
            if site != last:
                found.append((device, log_time, site))
            last = site
    return sorted(found)


def play(sink: PlaceSink, log: list[Message], pieces: int) -> None:
    for begin in range(0, len(log), pieces):
        part = log[begin : begin + pieces]
        sink.write([sink.decode(message) for message in part], {0: part[-1].offset() + 1})
        sink.flush()


@pytest.mark.parametrize("seed", range(3))
def test_killed_anywhere_and_read_again_the_places_are_the_same(store: RawStore, seed: int):
    log, dice = log_of(seed), random.Random(seed)
    for _ in range(8):
        sink = opened(store)
        begin = sink.positions().get(0, 0)
        play(sink, log[begin : begin + dice.randrange(5, 60)], dice.randrange(1, 20))
        # Dies after its rows and before their position.
        store.execute(f"alter table {PLACE_POSITIONS} delete where next_offset > {begin} settings mutations_sync = 2")
        if dice.random() < 0.7:
            play(sink, log[begin : begin + dice.randrange(5, 60)], 7)
        sink.disconnect()
    sink = opened(store)
    play(sink, log[sink.positions().get(0, 0) :], 50)
    sink.disconnect()
    assert held(store) == places(log)


def test_only_what_has_changed_is_kept(store: RawStore):
    sink = opened(store)
    sink.positions()
    play(sink, log_of(9), 30)
    play(sink, [Message((0, 500 + n, 9_000 + n), record("e", "north", version=n)) for n in range(50)], 10)
    sink.disconnect()
    assert store.query(f"select count() from {DEVICE_PLACES} final")[0][0] == len(places(log_of(9))) + 1


def test_a_log_that_was_made_anew_is_read_from_its_beginning_and_history_stays(store: RawStore):
    sink = opened(store, "old")
    sink.positions()
    play(sink, [Message((0, 70, 1_000), record("a", "north"))], 1)
    sink.disconnect()
    sink = opened(store, "new")
    assert sink.positions() == {}
    play(sink, [Message((0, 0, 2_000), record("a", "north")), Message((0, 1, 3_000), record("a", "south"))], 1)
    sink.disconnect()
    assert held(store) == [("a", 1_000, "north"), ("a", 3_000, "south")]


def test_it_is_known_as_far_as_the_partition_that_is_furthest_behind(store: RawStore):
    client, sink = connect_to(store.url), opened(store)
    assert places_known(client, 2) == 0
    sink.positions()
    for partition, log_time in ((0, 5_000), (1, 3_000), (1, 4_000)):
        message = Message((partition, log_time, log_time), beat(DEVICE_REGISTRY, partition, log_time))
        sink.write([sink.decode(message)], {partition: log_time + 1})
        sink.flush()
    assert (places_known(client, 2), places_known(client, 3)) == (4_000, 0)
    sink.disconnect()
    client.close()


def test_what_is_no_record_is_refused(store: RawStore):
    with pytest.raises(BadRecord):
        opened(store).decode(Message((0, 0, 0), (b"t/a", b"{")))


def test_names_of_any_kind_are_kept(store: RawStore):
    odd, sink = f"it's \\ ü😀 {uuid.uuid4().hex[:4]}", opened(store)
    sink.positions()
    play(sink, [Message((0, 0, 1_000), record(odd, odd, odd))], 1)
    sink.disconnect()
    assert store.query("select device, site, model from device_place") == [(odd, odd, odd)]
