import time

import psycopg
import pytest

from headwater import registry
from headwater.broker.devices import Answer, DeviceTable
from headwater.model.errors import NotFound
from headwater.stack import migrate
from tests.integration.mqtt_line import eventually


@pytest.fixture
def conn(postgres):
    migrate.apply(postgres)
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute("delete from device where tenant like 'reg-%'")
        yield conn


def tokens(conn, device: str) -> set[str]:
    return {one.token_sha256 for one in registry.good(conn, "reg-a", device)}


def test_a_device_is_registered_once_and_gets_a_new_token_the_second_time(conn):
    for token in ("one", "two", "two"):
        registry.add_device(conn, "reg-a", "d", token, "pump")
    assert tokens(conn, "d") == {registry.token_sha256("two")}
    assert conn.execute("select kind from device where tenant = 'reg-a'").fetchall() == [("pump",)]
    assert conn.execute("select count(*) from tenant where tenant = 'reg-a'").fetchone() == (1,)


def test_a_revoked_device_is_no_longer_live_until_it_gets_a_token_again(conn):
    registry.add_device(conn, "reg-a", "d", "one")
    registry.revoke(conn, "reg-a", "d")
    assert tokens(conn, "d") == set()
    assert ("reg-a", "d") not in registry.all_good(conn)
    registry.add_device(conn, "reg-a", "d", "one")
    assert registry.all_good(conn)["reg-a", "d"] == [registry.Credential(registry.token_sha256("one"), None)]


def test_a_rotation_leaves_the_old_token_good_for_its_overlap(conn):
    registry.add_device(conn, "reg-a", "d", "one")
    registry.rotate(conn, "reg-a", "d", "two", overlap_s=60)
    assert tokens(conn, "d") == {registry.token_sha256("one"), registry.token_sha256("two")}
    registry.rotate(conn, "reg-a", "d", "three", overlap_s=0, expires_s=60)
    [left] = registry.good(conn, "reg-a", "d")
    assert left.token_sha256 == registry.token_sha256("three")
    assert left.expires_ms is not None
    assert [one.state for one in registry.issued(conn, "reg-a", "d")] == ["good", "expired", "expired"]


def test_revoking_what_is_not_there_says_so(conn):
    with pytest.raises(NotFound):
        registry.revoke(conn, "reg-a", "nobody")
    with pytest.raises(NotFound):
        registry.rotate(conn, "reg-a", "nobody", "token", 60)
    assert registry.good(conn, "reg-a", "nobody") == []


def test_an_old_token_is_withdrawn_when_its_overlap_is_over_and_the_new_one_stays(conn, postgres, tmp_path):
    withdrawn: list = []
    table = DeviceTable(postgres, tmp_path / "devices.json", withdrawn.extend)
    registry.add_device(conn, "reg-a", "d", "one")
    table.start()
    try:
        eventually(lambda: table.check("reg-a", "d", "one") is Answer.GOOD, "it is known")
        begun = time.monotonic()
        registry.rotate(conn, "reg-a", "d", "two", overlap_s=5)
        assert table.check("reg-a", "d", "one") is Answer.GOOD or time.monotonic() - begun > 5
        eventually(lambda: table.check("reg-a", "d", "two") is Answer.GOOD, "the new one is known")
        eventually(lambda: withdrawn, "its end is seen")
        assert set(withdrawn) == {("reg-a", "d", registry.token_sha256("one"))}
        assert table.check("reg-a", "d", "one") is Answer.WRONG
        eventually(lambda: table.check("reg-a", "d", "two") is Answer.GOOD, "the new one stays")
    finally:
        table.stop()


def test_the_table_follows_the_database_and_is_kept_on_disk_for_its_owner_alone(conn, postgres, tmp_path):
    withdrawn: list = []
    file = tmp_path / "devices.json"
    table = DeviceTable(postgres, file, withdrawn.extend)
    registry.add_device(conn, "reg-b", "d", "the-token-itself")
    table.start()
    try:
        eventually(lambda: table.check("reg-b", "d", "the-token-itself") is Answer.GOOD, "it is known")
        assert table.check("reg-b", "d", "guess") is Answer.WRONG
        assert table.check("reg-b", "nobody", "guess") is Answer.WRONG
        registry.add_device(conn, "reg-b", "new", "fresh")
        eventually(lambda: table.check("reg-b", "new", "fresh") is Answer.GOOD, "it is asked for")
        registry.revoke(conn, "reg-b", "new")
        eventually(lambda: ("reg-b", "new", registry.token_sha256("fresh")) in withdrawn, "its clients are named")
        eventually(lambda: table.check("reg-b", "new", "fresh") is Answer.WRONG, "it is refused")
        assert file.stat().st_mode & 0o777 == 0o600
        assert b"the-token-itself" not in file.read_bytes()
    finally:
        table.stop()
    later = DeviceTable("postgresql://headwater@127.0.0.1:1/none", file, withdrawn.extend)
    assert later.check("reg-b", "d", "the-token-itself") is Answer.GOOD
    assert later.check("reg-b", "elsewhere", "x") is Answer.UNKNOWABLE
