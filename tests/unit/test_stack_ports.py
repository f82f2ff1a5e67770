"""Ports: the ones that a setting names, those of last time, the preferred ones, and free ones."""

import socket

import pytest

from headwater.model.errors import StackError
from headwater.stack.ports import PREFERRED, choose_ports, free_port
from headwater.stack.state import State

FREE = {"HEADWATER_PORTS": "free"}


def test_a_busy_preferred_port_is_passed_over_at_the_first_start():
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        ports = choose_ports("127.0.0.1", {}, {"HEADWATER_KAFKA_PORT": "1"})
        assert ports["kafka"] == 1
        preferred = dict(PREFERRED)
        try:
            PREFERRED["api"] = taken
            assert choose_ports("127.0.0.1", {}, {})["api"] != taken
        finally:
            PREFERRED.update(preferred)


def test_a_setting_beats_the_port_of_last_time():
    assert choose_ports("127.0.0.1", {"api": 1234}, {"HEADWATER_API_PORT": "4321"})["api"] == 4321
    assert choose_ports("127.0.0.1", {"api": 1234}, {})["api"] == 1234


def test_no_two_ports_are_the_same(tmp_path):
    ports = State.open(tmp_path, FREE).ports
    assert len(set(ports.values())) == len(PREFERRED)


def test_a_free_port_is_of_the_range_that_a_setting_names_and_given_once(monkeypatch):
    monkeypatch.setenv("HEADWATER_FREE_PORTS", "31990-31999")
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", free_port()))
        busy.listen()
        given = [busy.getsockname()[1]]
        with pytest.raises(StackError, match="No port from 31990 to 31999 is free"):  # noqa: PT012
            while True:
                given.append(free_port(taken=frozenset([31_995])))
    assert len(given) == len(set(given)) <= 10
    assert set(given[1:]) <= set(range(31_990, 32_000)) - {31_995}


def test_without_a_setting_it_is_below_those_that_systems_hand_out(monkeypatch):
    monkeypatch.setenv("HEADWATER_FREE_PORTS", "")
    assert 10_000 <= free_port() <= 31_999


@pytest.mark.parametrize("said", ["8000", "9-8", "0-10", "1-65536", "a-b"])
def test_a_range_that_is_none_is_told(monkeypatch, said: str):
    monkeypatch.setenv("HEADWATER_FREE_PORTS", said)
    with pytest.raises(StackError, match="expected FROM-TO within 1-65535, got"):
        free_port()
