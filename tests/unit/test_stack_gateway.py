"""The SQL Gateway as a program: on demand unless a setting says always, and for this machine alone."""

import pytest

from headwater.stack import catalog, flink, gateway, places
from headwater.stack.state import State


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "jobs_site_packages", lambda: tmp_path / "site-packages")
    return State.open(tmp_path / "state", {"HEADWATER_PORTS": "free", "HEADWATER_HOST": "0.0.0.0"})


def test_it_is_left_out_on_the_way_up_unless_a_setting_says_always(state, monkeypatch):
    def steps():
        return {step.name for step in catalog.steps(state, lambda _: "")}

    monkeypatch.delenv("HEADWATER_SQL_GATEWAY", raising=False)
    assert gateway.NAME not in steps()
    assert gateway.NAME in {program.name for program in catalog.programs(state)}
    monkeypatch.setenv("HEADWATER_SQL_GATEWAY", "always")
    assert gateway.NAME in steps()


def test_it_listens_for_this_machine_alone_whatever_the_host_is(state):
    given = [word for word in gateway.program(state).command if "rest" in word]
    assert "-Dsql-gateway.endpoint.rest.bind-address=127.0.0.1" in given
    assert f"-Dsql-gateway.endpoint.rest.port={state.ports['sql-gateway']}" in given
    assert gateway.url(state) == f"http://127.0.0.1:{state.ports['sql-gateway']}"


def test_its_jar_stands_before_those_of_flink_and_no_other_server_loads_it(state):
    words = gateway.program(state).command
    assert "flink-sql-gateway" in words[words.index("-cp") + 1].split(":")[0]
    assert not [word for word in flink.jobmanager(state).command if "flink-sql-gateway" in word]
