"""A disk that fills up: devices are refused with the reason before anything breaks, and all goes on when there is room.

On a file system of our own: ext4 in a file where root may mount one, else a tmpfs.
"""

import os
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import orjson
import psutil
import pytest

from headwater.model.disk import free_mb
from headwater.stack import jars
from headwater.stack import kafka as kafka_server
from headwater.stack.foreground import running
from headwater.stack.state import State
from tests.integration.mqtt_line import CUT, QUOTA, Client, Line, eventually, line, readings

SIZE_MB = 1_200 + psutil.virtual_memory().total // 12_000_000
"""HiveMQ sets disk aside in proportion to the machine's memory: a sixteenth of it."""

LOW_MB = 200


def mounted(folder: Path, image: Path) -> bool:
    """Mounts a small file system on `folder`; false where this machine does not let us."""
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(SIZE_MB * 1_000_000)
    made = (
        shutil.which("mkfs.ext4") and not subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=False).returncode
    )
    if made and not subprocess.run(["mount", "-o", "loop", image, folder], check=False, capture_output=True).returncode:
        return True
    image.unlink()
    options = ["-t", "tmpfs", "-o", f"size={SIZE_MB * 1_000_000}", "tmpfs", folder]
    return not subprocess.run(["mount", *options], check=False, capture_output=True).returncode


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    if os.geteuid() != 0 or not mounted(folder, tmp_path / "image"):
        pytest.skip("expected to be root and to be let mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def own_kafka(small_disk):
    """A Kafka whose log lies on the small disk."""
    state = State.open(small_disk / "kafka", {"HEADWATER_PORTS": "free"})
    jars.ensure(state.folder, "kafka")
    kafka_server.prepare(state)
    with running(kafka_server.program(state), state.folder / "logs") as process:
        yield state.url("kafka"), process


def send(client: Client, start: int, count: int) -> None:
    device = client.user.split("/")[1]
    for stamp in range(start, start + count):
        client.publish(orjson.dumps({"ts": stamp, "values": {"n": stamp}}), (device, "n", stamp))


def fill(disk: Path, leave_mb: int) -> Path:
    """Takes what room there is, but for `leave_mb`."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, (free_mb(disk) - leave_mb) * 1_000_000)
    return ballast


def assert_balanced(up: Line, client: Client) -> None:
    wanted = client.acknowledged
    up.packs(lambda packs: wanted <= readings(packs).keys())
    assert up.metric("headwater_broker_dropped") == 0


def test_a_full_disk_refuses_devices_with_the_reason_and_nothing_that_was_acknowledged_is_lost(
    small_disk, own_kafka, postgres
):
    bootstrap, kafka = own_kafka
    with line(small_disk / "line", bootstrap, postgres, low_disk_mb=str(LOW_MB)) as up:
        up.up()
        client = up.device("writer")
        start = time.time_ns() // 1_000_000 - 600_000
        send(client, start, 500)
        eventually(lambda: len(client.acknowledged) == 500, "the first are acknowledged")

        ballast = fill(small_disk, leave_mb=LOW_MB - 50)
        eventually(lambda: client.farewells, "it is sent away")
        assert client.farewells[0] in (QUOTA, CUT)
        eventually(lambda: QUOTA in client.refusals, "its CONNECT is refused")
        assert "the disk is nearly full" in up.log("broker") or "DISK" in up.log("broker")
        send(client, start + 500, 200)
        time.sleep(3)
        assert len(client.acknowledged) <= 500 + 20
        # What lies behind the doors still has room, and lives.
        assert kafka.poll() is None
        assert all(process.poll() is None for process in up.running.values())
        assert_balanced(up, client)

        # A little room is not enough, or the doors would flutter; enough of it is.
        os.truncate(ballast, ballast.stat().st_size - 70_000_000)
        time.sleep(2)
        assert up.metric("headwater_broker_open") == 0
        ballast.unlink()
        up.wait_open()
        eventually(lambda: not client.unacknowledged(), "the rest is acknowledged")
        assert len(client.acknowledged) == 700
        assert_balanced(up, client)
        client.close()


def test_without_the_mark_a_full_disk_breaks_the_line(small_disk, own_kafka, postgres):
    # The control: the same disk, filled to the brim, with doors that do not look.
    bootstrap, kafka = own_kafka
    with line(small_disk / "line", bootstrap, postgres, low_disk_mb="0") as up:
        up.up()
        client = up.device("writer")
        with suppress(OSError):  # it may be as full meanwhile
            fill(small_disk, leave_mb=1)
        until = time.monotonic() + 90
        stamp = time.time_ns() // 1_000_000 - 600_000
        while kafka.poll() is None and time.monotonic() < until:
            send(client, stamp, 5)
            stamp += 5
        assert kafka.poll() is not None, "Kafka is to end of a full disk"
        client.close()
