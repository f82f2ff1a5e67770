"""What devices say of themselves, from `device-attributes` into the registry."""

import json

import psycopg
import pytest

from connectors.sinks.attributes import AttributeSink
from headwater import registry
from headwater.model.device import ClientAttributes
from headwater.model.settings import SinkSettings
from headwater.registry import store
from headwater.registry.entries import DEVICES, MODELS
from tests.integration.sinks import fresh_database

DEVICE = ("demo", "d")


@pytest.fixture
def url(postgres: str) -> str:
    return fresh_database(postgres)


@pytest.fixture
def conn(url):
    with psycopg.connect(url, autocommit=True) as connection:
        registry.add_device(connection, *DEVICE, "token")
        connection.execute("truncate outbox")
        yield connection


@pytest.fixture
def sink(url):
    """A sink that keeps what it refuses in `refused`."""
    sink = AttributeSink(SinkSettings(_env_file=None, postgres=url))
    sink.refused = []
    sink.refuse = lambda items, why, reason="bad-record": sink.refused.extend((item, reason, why) for item in items)
    yield sink
    sink.disconnect()


def said(device: str = "d", **attributes) -> ClientAttributes:
    return ClientAttributes(v=1, tenant="demo", device=device, received=1, attributes=attributes)


def stored(sink: AttributeSink, *records: ClientAttributes, position: int = 0) -> None:
    sink.write(records, {0: position})
    sink.flush()


def client(conn, device: str = "d") -> dict:
    return store.get(conn, DEVICES, "demo", device).attributes.client


def versions(conn) -> list[dict]:
    """The attributes in the records of `device-registry`."""
    rows = conn.execute("select value from outbox where topic = 'device-registry' order by id")
    return [json.loads(value)["attributes"] for (value,) in rows]


def test_names_are_put_together_and_null_takes_one_away(sink, conn):
    store.save(conn, DEVICES, *DEVICE, {"attributes": {"server": {"serial": 7}, "shared": {"every_s": 5}}}, merge=True)
    conn.execute("truncate outbox")
    stored(sink, said(firmware="1.0", free=12.5, on=True))
    stored(sink, said(firmware="1.1", free=None), said(extra=1), said(extra=None, more=2))
    assert client(conn) == {"firmware": "1.1", "on": True, "more": 2}
    first, last = versions(conn)  # what came together is one version
    assert first["client"] == {"firmware": "1.0", "free": 12.5, "on": True}
    assert last == {"server": {"serial": 7}, "shared": {"every_s": 5}, "client": client(conn)}


def test_what_was_said_already_makes_no_version_and_a_replay_ends_where_it_was(sink, conn):
    log = [said(firmware=str(number), **{f"only-{number}": number}) for number in range(5)]
    stored(sink, *log)
    before = client(conn)
    version = store.get(conn, DEVICES, *DEVICE).version
    stored(sink, log[-1], said())
    assert store.get(conn, DEVICES, *DEVICE).version == version
    stored(sink, *log)
    assert client(conn) == before
    for record in log:
        stored(sink, record)
    assert client(conn) == before


def test_positions_are_stored_with_what_was_said_or_not_at_all(sink, conn, monkeypatch):
    stored(sink, said(a=1), position=1)
    assert sink.positions() == {0: 1}
    with monkeypatch.context() as broken:
        broken.setattr(sink, "_offset", "no SQL")
        sink.write([said(a=2)], {0: 2})
        with pytest.raises(psycopg.ProgrammingError):
            sink.flush()
    assert (client(conn), sink.positions()) == ({"a": 1}, {0: 1})


def test_who_is_not_registered_and_what_is_too_much_is_refused_and_the_rest_is_taken(sink, conn):
    many = {f"n{number}": number for number in range(201)}
    long = {f"n{number}": "x" * 900 for number in range(20)}
    registry.add_device(conn, "demo", "other", "token")
    stored(sink, said(a=1), said(**many), said("gone", a=1), said(b=2), said(**long), said("other", c=3))
    assert (client(conn), client(conn, "other")) == ({"a": 1, "b": 2}, {"c": 3})
    assert [(item.device, reason) for item, reason, _ in sink.refused] == [
        ("d", "bad-attributes"),
        ("d", "bad-attributes"),
        ("gone", "unknown-device"),
    ]
    assert "at most 200" in sink.refused[0][2]
    # Taken away in the same message: then there is room.
    stored(sink, said(**{f"n{number}": number for number in range(198)}))
    stored(sink, said(a=None, b=None, n0=None, x=1, y=2, z=3))
    assert len(client(conn)) == 200
    assert len(sink.refused) == 3


def test_devices_are_locked_by_name_as_a_change_of_their_model_does(sink, conn, url):
    store.save(conn, MODELS, "demo", "boiler", {})
    names = [f"b-{number:02}" for number in range(20)]
    for name in names:
        store.save(conn, DEVICES, "demo", name, {"model": "boiler"})
    for number in range(20):
        with psycopg.connect(url) as other:
            other.execute("update model set metrics = %s where model = 'boiler'", (json.dumps({f"m{number}": {}}),))
            # The other holds the model and its devices; the sink waits for it, and not the other way round.
            other.commit()
        stored(sink, *[said(name, n=number) for name in reversed(names)])
    assert {client(conn, name)["n"] for name in names} == {19}
