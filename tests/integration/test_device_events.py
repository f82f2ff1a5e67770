"""Who connected and why a connection ended, from the broker's hooks to PostgreSQL, whoever is away meanwhile."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest

from connectors.sinks.events import EventSink
from headwater import registry
from headwater.model.settings import SinkSettings
from headwater.stack import jars
from headwater.stack import kafka as kafka_program
from headwater.stack.foreground import running
from headwater.stack.state import State
from tests.integration.mqtt_line import Line, eventually, line
from tests.integration.sinks import in_thread

CONNECTED = ("connected", "")


def ended(reason: str) -> tuple[str, str]:
    return ("disconnected", reason)


@contextmanager
def stored(up: Line) -> Iterator[None]:
    """The sink of events, in a thread."""
    with in_thread(EventSink, SinkSettings(kafka=up.kafka, postgres=up.postgres)):
        yield


@pytest.fixture(scope="module")
def up(tmp_path_factory, kafka, postgres):
    """One line for all tests: each has devices of its own."""
    with line(tmp_path_factory.mktemp("events") / "line", kafka, postgres) as made, stored(made):
        made.up()
        yield made


def ask(up: Line, query: str, device: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(up.postgres) as conn:
        return conn.execute(query, (up.tenant, device)).fetchall()  # type: ignore[arg-type]


def story(up: Line, device: str) -> list[tuple[str, str]]:
    query = "select kind, reason from device_event where tenant = %s and device = %s order by at, connection, kind"
    return [(kind, reason) for kind, reason in ask(up, query, device) if kind != "first-seen"]


def presence(up: Line, device: str) -> tuple[bool, str] | None:
    rows = ask(up, "select connected, reason from device_presence where tenant = %s and device = %s", device)
    return rows[0] if rows else None


def expect(up: Line, device: str, *events: tuple[str, str]) -> None:
    eventually(lambda: len(story(up, device)) >= len(events), f"{device}: {events}, got {story(up, device)}", 60)
    assert story(up, device) == list(events)


def test_each_way_to_leave_is_told_by_its_own_name(up):
    up.device("leaves").close()
    lost = up.device("lost")
    lost._client.loop_stop()
    lost._client.socket().shutdown(socket.SHUT_RDWR)
    revoked = up.device("revoked")
    with psycopg.connect(up.postgres) as conn:
        registry.revoke(conn, up.tenant, "revoked")

    expect(up, "leaves", CONNECTED, ended("normal-disconnection"))
    expect(up, "lost", CONNECTED, ended("connection-lost"))
    eventually(lambda: len(story(up, "revoked")) >= 2, "the revoked device is sent away", 60)
    assert story(up, "revoked")[:2] == [CONNECTED, ended("not-authorized")]
    assert presence(up, "leaves") == (False, "normal-disconnection")
    [(client, address, protocol)] = ask(
        up,
        "select client, address, protocol from device_event where tenant = %s and device = %s and kind = 'connected'",
        "leaves",
    )
    assert (client[:2], address, protocol) == ("c-", "127.0.0.1", "5")
    # It goes on trying, and makes one event of that.
    eventually(lambda: len(revoked.refusals) >= 3, "the revoked device tries again", 60)
    revoked.close()
    expect(up, "revoked", CONNECTED, ended("not-authorized"), ("refused", "bad-user-name-or-password"))


def test_a_take_over_ends_the_old_connection_and_leaves_the_device_connected(up):
    first = up.device("d")
    first._client.loop_stop()  # it will not come back
    client_id = first._client._client_id.decode()
    second = up.client(first.user, "token-of-d", client_id=client_id)
    eventually(lambda: second.connected, "the second connects")
    expect(up, "d", CONNECTED, ended("session-taken-over"), CONNECTED)
    assert presence(up, "d") == (True, "")
    [(seen, began)] = ask(
        up,
        "select f.at, (select min(at) from device_event as e where (e.tenant, e.device) = (f.tenant, f.device)"
        " and e.kind = 'first-seen') from device_first_seen as f where f.tenant = %s and f.device = %s",
        "d",
    )
    assert seen == began
    second.close()


def test_a_killed_broker_ends_what_was_connected_and_a_stopped_one_says_so(up):
    stays = up.device("stays")
    expect(up, "stays", CONNECTED)
    up.kill("broker")
    stays.close()
    up.start("broker")
    expect(up, "stays", CONNECTED, ended("broker-restarted"))
    assert presence(up, "stays") == (False, "broker-restarted")

    up.wait_open()
    told = up.device("told")
    assert up.stop("broker") == 0
    told.close()
    up.start("broker")
    expect(up, "told", CONNECTED, ended("server-shutting-down"))
    up.wait_open()


def test_names_that_nobody_has_registered_make_no_events_however_many_try(up):
    up.device("known").close()
    # Of two connections, HiveMQ may tell the end of the first after the refusal of the second.
    expect(up, "known", CONNECTED, ended("normal-disconnection"))
    up.client(f"{up.tenant}/unknown", "guess").close()
    known = up.client(f"{up.tenant}/known", "guess")
    eventually(lambda: len(known.refusals) >= 3, "it tries again and again")
    known.close()
    expect(
        up,
        "known",
        CONNECTED,
        ended("normal-disconnection"),
        ("refused", "bad-user-name-or-password"),
    )
    assert story(up, "unknown") == []


def test_events_of_an_outage_of_kafka_come_later_and_none_is_missing(tmp_path, postgres):
    state = State.open(tmp_path / "kafka", {"HEADWATER_PORTS": "free"})
    jars.ensure(state.folder, "kafka")
    kafka_program.prepare(state)
    program, logs = kafka_program.program(state), tmp_path / "logs"
    away = [f"away{number}" for number in range(5)]
    with ExitStack() as stack:
        with running(program, logs):
            own = stack.enter_context(line(tmp_path / "line", state.url("kafka"), postgres))
            own.up()
            own.device("before").close()
        for device in away:
            own.device(device).close()
        with running(program, logs), stored(own):
            for device in ("before", *away):
                expect(own, device, CONNECTED, ended("normal-disconnection"))
