"""What the stack decides at its first start, and keeps."""

import shutil
import stat

import pytest

from headwater.model.errors import StackError
from headwater.model.settings import ApiSettings, BrokerSettings
from headwater.stack import postgres
from headwater.stack.state import State

FREE = {"HEADWATER_PORTS": "free"}


def test_secrets_are_for_the_owner_alone(tmp_path):
    state = State.open(tmp_path / "state", FREE)
    assert stat.S_IMODE(state.folder.stat().st_mode) == 0o700
    for name in ("run.env", "state.json"):
        assert stat.S_IMODE((state.folder / name).stat().st_mode) == 0o600


def test_a_second_start_keeps_ports_and_secrets(tmp_path):
    first = State.open(tmp_path, FREE)
    second = State.open(tmp_path, {})
    assert (second.ports, second.secrets, second.cluster_id) == (first.ports, first.secrets, first.cluster_id)
    assert State.load(tmp_path) == second


def test_secrets_differ_from_stack_to_stack_and_are_long(tmp_path):
    one, other = (State.open(tmp_path / name, FREE).secrets for name in ("one", "other"))
    assert all(len(secret) >= 32 for secret in one.values())
    assert not set(one.values()) & set(other.values())


def test_processes_read_their_settings_from_run_env(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADWATER_STATE", str(tmp_path))
    state = State.open(tmp_path, FREE)
    api, broker = ApiSettings(), BrokerSettings()
    assert api.kafka == state.url("kafka")
    assert api.api_port == state.ports["api"]
    assert api.access_key.get_secret_value() == state.secrets["access_key"]
    assert broker.broker_port == state.ports["mqtt"]
    assert broker.bridge_password.get_secret_value() == state.secrets["bridge_password"]


def test_a_server_of_your_own_is_told_to_every_process(tmp_path):
    mine = "postgresql://me:secret@db.example:5432/readings"
    state = State.open(tmp_path, {**FREE, "HEADWATER_POSTGRES": mine})
    assert state.external == {"postgres": mine}
    assert f"HEADWATER_POSTGRES={mine}\n" in (tmp_path / "run.env").read_text()
    assert State.open(tmp_path, {}).external == {}


def test_a_key_of_your_own_is_taken_and_kept(tmp_path):
    assert State.open(tmp_path, {**FREE, "HEADWATER_ACCESS_KEY": "mine"}).secrets["access_key"] == "mine"
    assert State.open(tmp_path, {}).secrets["access_key"] == "mine"


def test_a_stack_that_was_never_started_says_so(tmp_path):
    with pytest.raises(StackError, match="make up"):
        State.load(tmp_path)


def test_data_of_a_stack_that_was_deleted_by_hand_is_not_taken_for_that_of_a_new_one(tmp_path, monkeypatch):
    monkeypatch.setattr(postgres, "system_user", lambda: "postgres")
    first = State.open(tmp_path / "stack", FREE)
    old = postgres.home(first)
    (first.folder / "postgres").symlink_to(old)
    assert postgres.home(State.open(tmp_path / "stack", FREE)) == old
    shutil.rmtree(first.folder)
    assert postgres.home(State.open(tmp_path / "stack", FREE)) != old
