"""The environments of a fresh checkout."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path):
    """A checkout whose only locked package is a small one."""
    for name in ("tools", "requirements"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / "tools" / "bootstrap.py", tmp_path / "tools")
    shutil.copy(ROOT / "requirements" / "boot.txt", tmp_path / "requirements")
    lines = (ROOT / "requirements" / "dev.txt").read_text().split("\n")
    begin = next(number for number, line in enumerate(lines) if line.startswith("iniconfig=="))
    end = next(number for number in range(begin + 1, len(lines)) if not lines[number].startswith("    --hash"))
    (tmp_path / "requirements" / "jobs.txt").write_text("\n".join(lines[begin:end]) + "\n")
    return tmp_path


def bootstrap(checkout, *names):
    command = [sys.executable, str(checkout / "tools" / "bootstrap.py"), *names]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_an_environment_is_made_from_its_lock_once_and_repaired_when_the_lock_changes(checkout):
    done = bootstrap(checkout, "jobs")
    assert done.returncode == 0, done.stderr
    python = checkout / ".venv/jobs/bin/python"
    assert subprocess.run([python, "-c", "import iniconfig"], check=False).returncode == 0
    assert bootstrap(checkout, "jobs").stdout == ""
    lock = checkout / "requirements" / "jobs.txt"
    lock.write_text("# changed\n" + lock.read_text())
    assert "env jobs" in bootstrap(checkout, "jobs").stdout


def test_a_package_with_another_sum_is_refused(checkout):
    lock = checkout / "requirements" / "jobs.txt"
    text = lock.read_text()
    head, *_ = text.split("--hash=sha256:")
    lock.write_text(head.replace("\\", "").strip() + f" --hash=sha256:{'0' * 64}\n")
    done = bootstrap(checkout, "jobs")
    assert done.returncode != 0
    assert "fix:" in done.stderr
    lock.write_text(text)
    assert bootstrap(checkout, "jobs").returncode == 0
