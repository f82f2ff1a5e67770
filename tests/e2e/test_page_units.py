"""The page's own unit tests, run as its developers run them, with the Node of this environment."""

from __future__ import annotations

import subprocess
import sys

import pytest

from headwater.model.settings import project_folder


@pytest.mark.timeout(600)
def test_the_units_of_the_page_pass() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.npm", "test"], cwd=project_folder(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
