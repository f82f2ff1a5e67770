import msgspec
import pytest
from pydantic import SecretStr

from headwater import registry
from headwater.broker.access import Access
from headwater.broker.connect import Code, Connect, Session, Verdict
from headwater.broker.devices import DeviceTable
from headwater.broker.gate import Gate, Look
from headwater.broker.provisioning import Provisioning
from headwater.model.event import EVENTS_TOPIC
from headwater.model.settings import BrokerSettings

NOWHERE = "postgresql://headwater@127.0.0.1:1/none"


@pytest.fixture
def access(tmp_path) -> Access:
    """Devices `demo/a` and `demo/b` as saved by an earlier run; PostgreSQL cannot be reached; the gate is open."""
    file = tmp_path / "devices.json"
    saved = [("demo", name, registry.token_sha256(f"token-{name}")) for name in ("a", "b")]
    file.write_bytes(msgspec.json.encode(saved))
    gate = Gate(100, 1_000)
    gate.update(Look(True, True, 0), 0)
    return made(DeviceTable(NOWHERE, file, lambda _: None), gate, "secret")


def made(table: DeviceTable, gate: Gate, password: str, **more: str) -> Access:
    settings = BrokerSettings(bridge_password=SecretStr(password), postgres=SecretStr(NOWHERE), **more)
    sessions = {"live": Session.CONNECTED, "asleep": Session.KEPT}
    provisioning = Provisioning(settings, table.healthy)
    return Access(settings, table, provisioning, gate, lambda client: sessions.get(client, Session.NONE))


def judge(access: Access, user: str, password: str, client: str = "c", clean_start: bool = True) -> Code:
    return access.judge(Connect(client, user, password, clean_start)).code


def test_a_device_may_write_below_its_own_name_and_read_its_own_errors(access):
    verdict = access.judge(Connect("c", "demo/a", "token-a", True))
    assert verdict.code is Code.SUCCESS
    assert verdict.publish == ["v1/demo/a/#"]
    assert verdict.subscribe == ["v1/demo/a/errors", "v1/demo/a/commands", "v1/demo/a/attributes/shared"]
    assert verdict.never_publish == verdict.subscribe


def test_a_wrong_token_is_refused_and_an_unknown_device_is_told_to_come_again(access):
    assert judge(access, "demo/a", "token-b") is Code.BAD_USER_NAME_OR_PASSWORD
    assert judge(access, "demo/unknown", "token") is Code.SERVER_UNAVAILABLE


@pytest.mark.parametrize("user", ["", "demo", "demo/", "/a"])
def test_a_user_that_is_not_tenant_and_device_is_refused(access, user):
    assert judge(access, user, "token-a") is Code.BAD_USER_NAME_OR_PASSWORD


def test_the_bridge_needs_its_password_and_may_do_nothing_else(access):
    assert judge(access, "_bridge", "wrong") is Code.BAD_USER_NAME_OR_PASSWORD
    verdict = access.judge(Connect("headwater-bridge", "_bridge", "secret", False))
    assert (verdict.code, verdict.publish) == (Code.SUCCESS, ["v1/+/+/errors"])
    assert verdict.subscribe == ["v1/+/+/telemetry", "v1/+/+/attributes", EVENTS_TOPIC]


def test_an_empty_bridge_password_lets_nobody_in(tmp_path):
    gate = Gate(100, 1_000)
    table = DeviceTable(NOWHERE, tmp_path / "none.json", lambda _: None)
    assert judge(made(table, gate, ""), "_bridge", "") is Code.BAD_USER_NAME_OR_PASSWORD


def test_a_closed_gate_refuses_devices_but_not_the_bridge(access):
    access._gate.update(Look(True, True, 101), 10)
    assert judge(access, "demo/a", "token-a") is Code.QUOTA_EXCEEDED
    assert judge(access, "_bridge", "secret", "headwater-bridge") is Code.SUCCESS


def test_a_client_id_stays_with_the_user_that_came_with_it(access):
    assert judge(access, "demo/a", "token-a", "live") is Code.SUCCESS
    assert judge(access, "demo/b", "token-b", "live") is Code.CLIENT_IDENTIFIER_NOT_VALID
    assert judge(access, "demo/a", "token-a", "live") is Code.SUCCESS
    assert judge(access, "demo/b", "token-b", "headwater-bridge") is Code.CLIENT_IDENTIFIER_NOT_VALID


def test_a_provisioning_key_opens_nothing_unless_devices_may_register_themselves(access, tmp_path):
    assert judge(access, "provision", "a key") is Code.NOT_AUTHORIZED
    table = DeviceTable(NOWHERE, tmp_path / "none.json", lambda _: None)
    claiming = made(table, access._gate, "secret", unknown_devices="claim")
    assert judge(claiming, "provision", "a key") is Code.SERVER_UNAVAILABLE


@pytest.mark.parametrize(
    ("client", "session", "code"),
    [
        ("c", {"clean_start": True}, Code.SUCCESS),
        ("c", {"clean_start": True, "expiry_s": 60}, Code.NOT_AUTHORIZED),
        ("c", {"clean_start": False}, Code.SUCCESS),
        ("asleep", {"clean_start": False}, Code.NOT_AUTHORIZED),
        ("asleep", {"clean_start": True}, Code.SUCCESS),
        ("theirs", {"clean_start": False}, Code.CLIENT_IDENTIFIER_NOT_VALID),
        ("headwater-bridge", {"clean_start": True}, Code.CLIENT_IDENTIFIER_NOT_VALID),
    ],
)
def test_who_comes_with_a_key_neither_finds_nor_leaves_a_session(access, monkeypatch, client, session, code):
    let_in = Verdict(Code.SUCCESS, "", ["provision/request"], ["provision/response"], key_sha256="of the key")
    monkeypatch.setattr(access._provisioning, "judge", lambda _: let_in)
    assert judge(access, "demo/a", "token-a", "theirs") is Code.SUCCESS
    verdict = access.judge(Connect(client, "provision", "a key", **session))
    assert verdict.code is code
    # Nor does it keep the client id.
    assert judge(access, "demo/b", "token-b", "c", clean_start=False) is Code.SUCCESS


def test_an_abandoned_client_id_is_handed_on_with_a_clean_start_only(access):
    assert judge(access, "demo/a", "token-a", "gone") is Code.SUCCESS
    assert judge(access, "demo/b", "token-b", "gone", clean_start=False) is Code.CLIENT_IDENTIFIER_NOT_VALID
    assert judge(access, "demo/b", "token-b", "gone", clean_start=True) is Code.SUCCESS


def test_the_clients_of_withdrawn_devices_are_found(access):
    judge(access, "demo/a", "token-a", "one")
    judge(access, "demo/a", "token-a", "two")
    judge(access, "demo/b", "token-b", "three")
    used = {("demo", name, registry.token_sha256(f"token-{name}")) for name in ("a", "c")}
    assert sorted(access.clients_of(used)) == ["one", "two"]
    assert access.clients_of({("demo", "a", registry.token_sha256("an older token"))}) == []
