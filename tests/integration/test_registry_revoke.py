"""A device whose token ends is sent away by a real broker, and only that one."""

import psycopg
import pytest

from headwater import registry
from tests.integration.mqtt_line import eventually, line


@pytest.fixture(scope="module")
def up(tmp_path_factory, kafka, postgres):
    with line(tmp_path_factory.mktemp("line"), kafka, postgres) as made:
        made.up()
        yield made


def test_both_tokens_are_good_during_a_rotation_and_the_old_connection_ends_with_it(up):
    old = up.device("turning", token="one")
    with psycopg.connect(up.postgres) as conn:
        registry.rotate(conn, up.tenant, "turning", "two", overlap_s=3_600)
    new = up.client(f"{up.tenant}/turning", "two")
    eventually(lambda: new.connected, "the new token lets in")
    still = up.client(f"{up.tenant}/turning", "one")
    eventually(lambda: still.connected, "and so does the old one")
    # Said once more the time is short: a machine that is busy might not have connected the third one within it.
    with psycopg.connect(up.postgres) as conn:
        registry.rotate(conn, up.tenant, "turning", "two", overlap_s=3)
    eventually(lambda: old.farewells and still.farewells, "connections of the old token end")
    eventually(lambda: old.refusals, "which does not let in again")
    assert new.connected
    assert not new.farewells
    for client in (old, new, still):
        client.close()


def test_revoking_ends_every_connection_of_the_device_and_of_no_other(up):
    gone, other = up.device("gone"), up.device("other")
    second = up.client(f"{up.tenant}/gone", "token-of-gone")
    eventually(lambda: second.connected, "a device may connect twice")
    with psycopg.connect(up.postgres) as conn:
        registry.revoke(conn, up.tenant, "gone")
    eventually(lambda: gone.farewells and second.farewells, "both end")
    eventually(lambda: gone.refusals and second.refusals, "and are not let in again")
    assert not other.farewells
    for client in (gone, second, other):
        client.close()
