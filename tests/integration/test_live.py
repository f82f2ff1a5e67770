"""The live stream against real servers: the process, its sockets, its log."""

import json
import socket
import time

import pytest
from websockets.exceptions import ConnectionClosed

from tests.integration.api_server import (
    KEY,
    Api,
    Live,
    Log,
    Stores,
    eventually,
    now_ms,
    row,
    served,
    this_pane,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    return tmp_path_factory.mktemp("live")


@pytest.fixture(scope="module")
def api(folder, kafka: str, log: Log, stores: Stores):
    with served(folder, kafka, stores.postgres, stores.valkey) as running:
        yield running


def has(*rows) -> object:
    wanted = {(each.device, each.metric, each.pane): each.count for each in rows}
    return lambda client: all(client.rows.get(key) == count for key, count in wanted.items())


def test_a_client_gets_a_snapshot_and_then_only_what_changes(api, log, tenant):
    old, other = row(tenant, "a", count=2), row(tenant, "b")
    log.rows(old, other)
    with api.live() as client:
        client.subscribe(tenant).hear("snapshot")
        client.until(has(old, other))
        newer = row(tenant, "a", pane=old.pane, count=5, last=22.5)
        log.rows(newer)
        frame = client.hear("rows")
        columns = frame["columns"]
        assert columns["device"] == ["a"]
        assert (columns["count"], columns["last"], columns["mean"]) == ([5], [22.5], [22.5])
        assert (columns["pane"], columns["received"]) == ([newer.pane], [newer.received])
        assert frame["sent"] >= newer.received


def test_a_device_subscription_sees_its_devices_and_can_be_changed(api, log, tenant):
    log.rows(row(tenant, "a"), row(tenant, "b"), row(tenant, "c"))
    with api.live() as fleet, api.live() as client:
        fleet.subscribe(tenant).until(lambda c: len(c.rows) == 3)
        snapshot = client.subscribe(tenant, ["a", "nobody"]).hear("snapshot")
        assert snapshot["columns"]["device"] == ["a"]
        assert snapshot["resumed"] is False
        changed = client.subscribe(tenant, ["b", "c"]).hear("snapshot")
        assert sorted(changed["columns"]["device"]) == ["b", "c"]
        log.rows(row(tenant, "a", count=9), row(tenant, "c", count=9))
        assert client.hear("rows")["columns"]["device"] == ["c"]


def test_old_versions_and_what_is_no_row_change_nothing(api, log, tenant):
    pane = this_pane()
    with api.live() as client:
        client.subscribe(tenant).hear("snapshot")
        log.rows(row(tenant, "a", count=5, pane=pane), row(tenant, "a", count=4, pane=pane))
        log.raw(b"{not a row")
        log.raw(None)
        log.rows(row(tenant, "a", count=5, pane=pane), row(tenant, "a", count=6, pane=pane))
        client.until(has(row(tenant, "a", count=6, pane=pane)))
        log.rows(row(tenant, "end"))
        client.until(lambda c: any(device == "end" for device, *_ in c.rows))


def test_a_late_amendment_of_an_old_pane_comes_through(api, log, tenant):
    new, late = row(tenant, "a"), row(tenant, "a", pane=this_pane() - 250_000, count=3)
    with api.live() as client:
        log.rows(new)
        client.subscribe(tenant).until(has(new))
        log.rows(late)
        client.until(has(late))


@pytest.mark.parametrize("key", [None, "wrong", ""])
def test_without_the_key_a_client_is_refused_with_a_word(api, key):
    with api.live(key) as client:
        assert client.hear("refused")["reason"] == "bad-key"
        with pytest.raises(ConnectionClosed) as closed:
            client.hear("rows")
        assert closed.value.rcvd.code == 4401


def test_the_key_may_come_in_the_header(api, tenant):
    with api.live(None, additional_headers={"Authorization": f"Bearer {KEY}"}) as client:
        assert client.subscribe(tenant).hear("snapshot")["columns"]["device"] == []


@pytest.mark.parametrize(
    "message", ["nonsense", {"type": "subscribe", "tenant": "_pulse"}, {"type": "subscribe", "cursor": "x"}]
)
def test_a_message_that_nobody_understands_is_refused_with_what_was_expected(api, message):
    with api.live() as client:
        client.say(message)
        assert "expected" in client.hear("refused")["detail"]
        with pytest.raises(ConnectionClosed) as closed:
            client.hear("rows")
        assert closed.value.rcvd.code == 4400


def test_a_ping_is_answered_with_the_servers_clock(api):
    with api.live() as client:
        client.say({"type": "ping", "t": 12.5})
        pong = client.hear("pong")
        assert pong["t"] == 12.5
        assert abs(pong["now"] - now_ms()) < 60_000


def test_status_comes_by_itself_and_counts_readings_and_delay(api, log, tenant):
    with api.live() as client:
        client.subscribe(tenant).hear("status")
        pane = this_pane()

        def measured() -> bool:
            log.rows(row(tenant, "a", pane=pane, count=len(client.frames) + 100))
            status = client.hear("status")
            return status["readings_per_s"] > 0 and status["delay_ms"]["p50"] is not None

        eventually(measured)
        eventually(lambda: client.hear("status")["lag"]["api"] is not None)
        status = client.hear("status")
        assert status["devices"] >= 1
        assert status["clients"] >= 1


def test_a_reconnect_resumes_without_gap_or_repeat(api, log, tenant):
    pane = this_pane()
    with api.live() as stayed:
        stayed.subscribe(tenant).hear("snapshot")
        with api.live() as client:
            client.subscribe(tenant).hear("snapshot")
            log.rows(*(row(tenant, f"d{i}", count=1, pane=pane) for i in range(20)))
            client.until(lambda c: len(c.rows) == 20)
        log.rows(*(row(tenant, f"d{i}", count=c, pane=pane) for c in (2, 3, 4) for i in range(10)))
        log.rows(row(tenant, "new", pane=pane))
        stayed.until(lambda c: len(c.rows) == 21 and all(c.rows[f"d{i}", "temperature", pane] == 4 for i in range(10)))
        with api.live() as connection:
            back = Live(connection.connection, rows=dict(client.rows))
            frame = back.subscribe(tenant, cursor=client.cursor).hear("rows", "snapshot")
            assert (frame["type"], frame["resumed"]) == ("rows", True)
            assert len(frame["columns"]["device"]) == 11, "coalesced: one row for each that changed"
            assert back.rows == stayed.rows


def test_a_cursor_outlives_a_restart_of_the_api(folder, kafka, log, stores, tenant):
    pane = this_pane()
    with served(folder, kafka, stores.postgres, stores.valkey) as first, first.live() as client:
        log.rows(*(row(tenant, f"d{i}", count=1, pane=pane) for i in range(10)))
        client.subscribe(tenant).until(lambda c: len(c.rows) == 10)
    log.rows(*(row(tenant, f"d{i}", count=2, pane=pane) for i in range(5)))
    with served(folder, kafka, stores.postgres, stores.valkey, ready=False) as second, second.live() as connection:
        back = Live(connection.connection, rows=dict(client.rows))
        frame = back.subscribe(tenant, cursor=client.cursor).hear("rows", "snapshot")
        assert (frame["type"], frame["resumed"]) == ("rows", True)
        assert sorted(frame["columns"]["device"]) == [f"d{i}" for i in range(5)]


def test_a_cursor_that_is_too_old_gets_a_snapshot_that_says_so(folder, kafka, log, stores, tenant):
    with served(folder, kafka, stores.postgres, stores.valkey, live_rows=100) as api, api.live() as client:
        log.rows(row(tenant, "a"))
        client.subscribe(tenant).until(lambda c: len(c.rows) == 1)
        cursor = client.cursor
        log.rows(*(row(tenant, f"d{i}") for i in range(400)))
        client.until(lambda c: len(c.rows) == 401)
        again = client.subscribe(tenant, cursor=cursor).hear("snapshot")
        assert again["resumed"] is False
        assert len(again["columns"]["device"]) == 401


def test_what_has_been_silent_for_long_is_in_the_snapshot_after_a_restart(folder, kafka, log, stores, tenant):
    stores.latest(row(tenant, "silent", pane=this_pane() - 86_400_000))
    with served(folder, kafka, stores.postgres, stores.valkey) as api, api.live() as client:
        # The API begins before Valkey has answered if that is slow; what it says then comes to the next snapshot.
        eventually(lambda: client.subscribe(tenant).hear("snapshot")["columns"]["device"] == ["silent"])


def test_a_client_that_takes_nothing_delays_nobody_and_then_gets_the_newest(patient: Api, log, tenant):
    names = [f"device-with-a-long-name-{i:04}" for i in range(2_000)]
    pane = this_pane()
    # The client's library reads by itself, up to a bound; its own bound would be megabytes.
    with patient.live(max_queue=1) as slow, patient.live() as quick:
        slow.connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        slow.subscribe(tenant)
        quick.subscribe(tenant).hear("snapshot")
        rounds = 25
        for count in range(1, rounds + 1):
            log.rows(*(row(tenant, name, count=count, pane=pane) for name in names))
            quick.until(lambda c, count=count: all(c.rows.get((n, "temperature", pane)) == count for n in names))
        slow.until(lambda c: len(c.rows) == len(names) and set(c.rows.values()) == {rounds})
        frames = [len(f["columns"]["device"]) for f in slow.frames if f["type"] in ("rows", "snapshot")]
        assert sum(frames) < rounds * len(names) / 2, "conflated: it was not told everything in between"
        assert len([f for f in quick.frames if f["type"] == "rows"]) >= rounds


def test_many_clients_of_one_process_all_see_the_same(api, log, tenant):
    pane = this_pane()
    clients, stack = [], []
    try:
        for number in range(30):
            context = api.live()
            client = context.__enter__()
            stack.append(context)
            clients.append(client.subscribe(tenant, None if number % 2 else [f"d{number % 5}"]))
            client.hear("snapshot")
        for count in range(1, 4):
            log.rows(*(row(tenant, f"d{i}", count=count, pane=pane) for i in range(5)))
            time.sleep(0.3)
        for number, client in enumerate(clients):
            wanted = range(5) if number % 2 else [number % 5]
            client.until(has(*(row(tenant, f"d{i}", count=3, pane=pane) for i in wanted)))
            assert len(client.rows) == len(wanted)
    finally:
        for context in stack:
            context.__exit__(None, None, None)


def test_frames_are_json_text(api, tenant):
    with api.live() as client:
        client.subscribe(tenant)
        frame = client.connection.recv(90)
        assert isinstance(frame, str)
        assert list(json.loads(frame)["columns"]) == [
            "device",
            "metric",
            "pane",
            "count",
            "sum",
            "min",
            "max",
            "mean",
            "last",
            "last_ms",
            "as_of",
            "received",
        ]
