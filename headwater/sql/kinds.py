"""The kinds of queries that analysts deploy. A name belongs to one query, of whatever kind."""

from __future__ import annotations

from headwater.model.errors import BadRequest, NotFound
from headwater.sql.metric import Metric
from headwater.sql.pattern import Pattern
from headwater.sql.query import Query

KINDS: dict[str, type[Query]] = {kind.kind: kind for kind in (Metric, Pattern)}


def files() -> dict[str, str]:
    """Every name that there are files of, with its kind; a name that two kinds have is the first one's."""
    return {name: kind.kind for kind in reversed(KINDS.values()) for name in kind.names()}


def load(name: str) -> Query:
    """The query of that name. Raises `NotFound` without its files, `BadRequest` with a line for each wrong field."""
    found = [kind for kind in KINDS.values() if name in kind.names()]
    if len(found) > 1:
        raise BadRequest(f"name: expected one query of that name, got {name} as {' and as '.join(KINDS)}: rename one")
    if not found:
        known = "; ".join(f"{kind.folder}/ has {', '.join(kind.names()) or 'none yet'}" for kind in KINDS.values())
        raise NotFound(f"expected the name of a metric or a pattern, got {name!r}: {known}")
    return found[0].load(name)
