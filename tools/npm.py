"""npm from the Node of the wheel, in dashboard/: `python -m tools.npm run check`."""

from __future__ import annotations

import sys

from headwater.model.errors import StackError
from headwater.model.settings import state_folder
from headwater.stack import page

if __name__ == "__main__":
    try:
        page.install(state_folder())
        sys.exit(page.npm(sys.argv[1:]).returncode)
    except StackError as error:
        sys.exit(f" ✗ {error}")
