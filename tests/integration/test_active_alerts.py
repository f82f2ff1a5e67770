"""Active alerts in Valkey: those that the log tells of, and none that was cleared, whatever dies or comes again."""

import base64
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from confluent_kafka import Producer

from connectors.sinks import active_alerts
from connectors.sinks.active_alerts import ActiveAlertSink
from headwater.model.alert import AlertEvent
from headwater.model.episode import episode
from headwater.model.settings import SinkSettings
from headwater.model.stores import ALERTS_FILLED_KEY, active_alerts_key, cleared_alerts_key
from headwater.model.topics import ALERTS, DEAD_LETTER, PROCESSED
from headwater.stack import valkey
from headwater.stack.foreground import running
from headwater.stack.state import State
from tests.integration.alert_log import append, held
from tests.integration.sink_processes import dead_letters, until
from tests.integration.sinks import create_topics
from tests.integration.stores.valkey import ValkeyStore
from tests.unit.alert_stories import active, episodes, replayed, story


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ValkeyStore]:
    """A Valkey of its own: it is emptied here."""
    state = State.open(tmp_path / "stack", {"HEADWATER_PORTS": "free"})
    valkey.prepare(state)
    with running(valkey.program(state), state.folder / "logs"):
        yield ValkeyStore(state.url("valkey"))


@pytest.fixture(scope="module")
def bootstrap(kafka: str) -> str:
    create_topics(kafka, [ALERTS.name, PROCESSED.name, DEAD_LETTER.name])
    return kafka


@contextmanager
def opened(store: ValkeyStore) -> Iterator[ActiveAlertSink]:
    sink = ActiveAlertSink(SinkSettings(_env_file=None, valkey=store.url))
    try:
        sink.positions()
        yield sink
    finally:
        sink.disconnect()


def play(sink: ActiveAlertSink, events: list[AlertEvent]) -> None:
    sink.write(map(episode, events), {0: 1})
    sink.flush()


class Watch:
    """Looks at the active alerts all the time, and notes those that came back after they had gone."""

    def __init__(self, store: ValkeyStore, tenant: str) -> None:
        self.ghosts: set[str] = set()
        self.looks = 0
        self._client = redis.Redis.from_url(store.url, protocol=2)
        self._key = active_alerts_key(tenant)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        before: set[bytes] = set()
        gone: set[bytes] = set()
        while not self._stop.wait(0.01):
            now = set(self._client.hkeys(self._key))
            gone |= before - now
            self.ghosts |= {alert.decode() for alert in now & gone}
            before, self.looks = now, self.looks + 1

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()


@pytest.mark.parametrize("seed", range(8))
def test_repeats_and_any_order_leave_the_alerts_that_the_events_tell(store: ValkeyStore, tenant: str, seed: int):
    rng = random.Random(seed)
    log = story(seed, (tenant, f"{tenant}-b"), alerts=60)
    played = replayed(rng, log)
    if seed % 2:
        rng.shuffle(played)
    with opened(store) as sink:
        at = 0
        while at < len(played):
            part = played[at : at + rng.randrange(1, 9)]
            at += len(part)
            play(sink, part)
            for of in (tenant, f"{tenant}-b"):
                assert held(store.client, of) == active(played[:at], of)


def test_what_was_cleared_is_remembered_for_a_time_and_up_to_a_number(store: ValkeyStore, tenant: str, monkeypatch):
    log = story(1, (tenant,), alerts=40)
    cleared = [alert for (_, alert), one in episodes(log).items() if one["cleared"] is not None]
    with opened(store) as sink:
        play(sink, log)
        assert set(store.client.zrange(cleared_alerts_key(tenant), 0, -1)) == {alert.encode() for alert in cleared}
        play(sink, [event for event in log if event.happened != "cleared"])
        assert held(store.client, tenant) == active(log, tenant)
        monkeypatch.setattr(active_alerts, "_MOST_REMEMBERED", 5)
        play(sink, log[:1])
        assert store.client.zcard(cleared_alerts_key(tenant)) == 5
        monkeypatch.setattr(active_alerts, "_REMEMBERED_MS", -1_000)
        play(sink, log[:1])
        assert store.client.zcard(cleared_alerts_key(tenant)) == 0


def test_a_value_that_is_no_episode_gives_way(store: ValkeyStore, tenant: str):
    log = story(2, (tenant,))
    store.client.hset(active_alerts_key(tenant), mapping=dict.fromkeys(active(log, tenant), b'{"changed": "?"}'))
    with opened(store) as sink:
        play(sink, log)
    assert held(store.client, tenant) == active(log, tenant)


def test_killed_again_and_again_over_a_log_that_repeats_itself_it_shows_no_ghost(store, start, bootstrap, tenant):
    rng = random.Random(7)
    log = replayed(rng, story(7, (tenant,), alerts=600))
    cut, wanted = len(log) // 6, active(log, tenant)
    with Watch(store, tenant) as watch:
        for number in range(5):
            before = held(store.client, tenant)
            sink = start()
            append(bootstrap, log[number * cut : (number + 1) * cut])
            until(lambda before=before: held(store.client, tenant) != before, "some of the new alerts")
            sink.end(signal.SIGKILL)
        append(bootstrap, log[5 * cut :])
        start()
        until(lambda: held(store.client, tenant) == wanted, "the alerts that are active")
    assert watch.looks > 100
    assert not watch.ghosts


def test_two_at_once_end_in_the_same_alerts(store, start, bootstrap, tenant):
    log = replayed(random.Random(8), story(8, (tenant,), alerts=300))
    wanted = active(log, tenant)
    start(), start()
    with Watch(store, tenant) as watch:
        append(bootstrap, log)
        until(lambda: held(store.client, tenant) == wanted, "the alerts that are active")
    assert not watch.ghosts


def empty_as_after_a_restart(store):
    store.client.flushall()
    for client in store.client.client_list():
        if client["name"] == "sink-active-alerts":
            store.client.client_kill_filter(_id=client["id"])


def test_a_store_that_comes_back_empty_is_filled_with_all_that_the_topic_keeps(store, start, bootstrap, tenant):
    log = story(9, (tenant,), alerts=4_000)
    wanted = active(log, tenant)
    append(bootstrap, log)
    sink = start()
    until(lambda: held(store.client, tenant) == wanted, "the alerts that are active")
    empty_as_after_a_restart(store)
    until(lambda: held(store.client, tenant) == wanted, "the same alerts again")
    for _ in range(10):
        empty_as_after_a_restart(store)
        until(lambda: bool(store.client.exists(ALERTS_FILLED_KEY)), "the first of the filling")
        sink.end(signal.SIGKILL)
        begun = held(store.client, tenant) != wanted
        sink = start()
        until(lambda: held(store.client, tenant) == wanted, "the same alerts again")
        if begun:
            return  # it was killed in the middle, and the next one went on with it
    pytest.fail("the filling had ended before each kill")


def test_what_is_no_event_becomes_a_dead_letter_and_stops_nothing(store, start, bootstrap, tenant):
    log = story(3, (tenant,))
    rubbish = (f"no json {tenant}".encode(), b'{"v":1}', b'{"v":9}')
    producer = Producer({"bootstrap.servers": bootstrap})
    for value in rubbish:
        producer.produce(ALERTS.name, value)
    assert producer.flush(120) == 0
    start()
    append(bootstrap, log)
    until(lambda: held(store.client, tenant) == active(log, tenant), "the alerts that are active")

    def refused() -> set[bytes]:
        letters = [each for each in dead_letters(bootstrap) if each.door == "sink-active-alerts"]
        return {base64.b64decode(each.payload) for each in letters}

    until(lambda: set(rubbish) <= refused(), "the dead letters")
