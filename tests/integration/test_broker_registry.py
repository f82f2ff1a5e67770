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


def test_a_device_is_registered_once_and_gets_a_new_token_the_second_time(conn):
    for token in ("one", "two", "two"):
        registry.add_device(conn, "reg-a", "d", token, "pump")
    found = registry.lookup(conn, "reg-a", "d")
    assert found == registry.Device("reg-a", "d", "pump", registry.token_sha256("two"), False)
    assert conn.execute("select count(*) from tenant where tenant = 'reg-a'").fetchone() == (1,)


def test_a_revoked_device_is_no_longer_live_until_it_gets_a_token_again(conn):
    registry.add_device(conn, "reg-a", "d", "one")
    registry.revoke(conn, "reg-a", "d")
    assert registry.lookup(conn, "reg-a", "d").revoked
    assert ("reg-a", "d") not in registry.live_tokens(conn)
    registry.add_device(conn, "reg-a", "d", "one")
    assert registry.live_tokens(conn)["reg-a", "d"] == registry.token_sha256("one")


def test_revoking_what_is_not_there_says_so(conn):
    with pytest.raises(NotFound):
        registry.revoke(conn, "reg-a", "nobody")
    assert registry.lookup(conn, "reg-a", "nobody") is None


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
        assert table.check("reg-b", "new", "fresh") is Answer.GOOD
        registry.revoke(conn, "reg-b", "new")
        eventually(lambda: ("reg-b", "new") in withdrawn, "its clients are named")
        eventually(lambda: table.check("reg-b", "new", "fresh") is Answer.WRONG, "it is refused")
        assert file.stat().st_mode & 0o777 == 0o600
        assert b"the-token-itself" not in file.read_bytes()
    finally:
        table.stop()
    later = DeviceTable("postgresql://headwater@127.0.0.1:1/none", file, withdrawn.extend)
    assert later.check("reg-b", "d", "the-token-itself") is Answer.GOOD
    assert later.check("reg-b", "elsewhere", "x") is Answer.UNKNOWABLE
