"""The doctor finds what is wrong and says what to do."""

import socket

from headwater.stack import checks
from headwater.stack.ports import free_port


def test_a_wrong_python_is_found():
    assert checks.python_check((3, 12)).good
    found = checks.python_check((3, 13))
    assert not found.good
    assert "3.11 or 3.12" in found.fix


def test_a_busy_port_is_found_with_who_has_it():
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", free_port()))
        busy.listen()
        port = busy.getsockname()[1]
        [found] = checks.port_checks({"kafka": port})
        assert not found.good
        assert str(port) in found.said
        assert "pid" in found.said
        assert "HEADWATER_KAFKA_PORT" in found.fix
    assert list(checks.port_checks({"kafka": port})) == []


def test_too_little_memory_and_disk_are_found():
    assert not checks.memory_check(available=2 * 2**30).good
    assert checks.memory_check(available=8 * 2**30).good
    assert not checks.disk_check(free=2**30).good
    assert checks.disk_check(free=50 * 2**30).good
    assert "devices are refused" in checks.disk_check(free=10**8).said


def test_readings_that_doors_take_for_longer_than_their_rows_are_kept_are_found():
    assert checks.retention_check().good
    assert not checks.retention_check(oldest_ms=86_400_001).good
