"""Which version of something a change expects to find, so that nobody overwrites what they have not seen.

A version is a number from 1 on. Where one is expected, None takes whatever there is.
"""

from __future__ import annotations

from headwater.model.errors import Conflict

NEW = 0
"""There is none yet."""
ANY_OLD = -1
"""There is one, whichever."""


def check_version(what: str, found: int, expected: int | None) -> None:
    """Raises `Conflict` if `what` (as "rule 'hot'") has not the version that is expected. `found` is `NEW` for none.

    Where one is expected and there is none, callers raise `NotFound` before, as they know near names.
    """
    if expected == NEW and found != NEW:
        raise Conflict(f"expected no {what} yet, and there is one, version {found}; read it again")
    if expected is not None and expected > NEW and expected != found:
        raise Conflict(
            f"expected version {found} of {what}, which it has now, got {expected}; somebody has changed it since: "
            "read it again, and send your change with that version"
        )
