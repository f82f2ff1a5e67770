"""Rules in PostgreSQL, every version kept. What is stored is surely published: both are one transaction (the outbox).

Changes of one tenant's rules come one after another (an advisory lock, held to the commit), so versions have no gaps
and reach `alert-rules` in their order.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import msgspec
from psycopg import Connection

from headwater import outbox
from headwater.model import codec
from headwater.model.errors import BadRequest, NotFound
from headwater.model.rule import Draft, Rule
from headwater.model.stores import OUTBOX, RULES, RULES_NEWEST, TENANTS
from headwater.model.topics import ALERT_RULES
from headwater.model.version import NEW, check_version

_INSERT = f"insert into {RULES} (tenant, rule, version, record) values (%s, %s, %s, %s)"  # noqa: S608
_ONE = f"select record::text from {RULES_NEWEST} where tenant = %s and rule = %s"  # noqa: S608
_ALL = f"select record::text from {RULES_NEWEST} where tenant = %s and not deleted order by rule"  # noqa: S608
_VERSIONS = f"select record::text from {RULES} where tenant = %s and rule = %s order by version"  # noqa: S608
_AGAIN = f"""
insert into {OUTBOX} (topic, key, value)
select %s, tenant || '/' || rule, record::text
from {RULES_NEWEST}
where enabled and not deleted
"""  # noqa: S608


class Change(NamedTuple):
    """What a draft does to what is stored: `before` is None where there is no such rule, `after` where it goes."""

    rule: str
    what: Literal["created", "changed", "same", "deleted"]
    before: Draft | None
    after: Draft | None
    version: int


def newest(conn: Connection[Any], tenant: str) -> list[Rule]:
    """A tenant's rules, by id."""
    return [codec.decode(Rule, text.encode()) for (text,) in conn.execute(_ALL, (tenant,))]


def one(conn: Connection[Any], tenant: str, rule: str) -> Rule:
    """A rule as it is. Raises `NotFound` with near ids."""
    found = _stored(conn, tenant, rule)
    if found is not None and not found.deleted:
        return found
    near = difflib.get_close_matches(rule, [other.rule for other in newest(conn, tenant)], 3, 0.5)
    advice = f"near ids: {', '.join(near)}" if near else "`headwater rules list` shows what there is"
    raise NotFound(f"expected a rule of tenant {tenant!r}, got {rule!r}; {advice}.")


def exists(conn: Connection[Any], tenant: str, rule: str) -> bool:
    """Whether there is, or ever was, a rule of this id."""
    return _stored(conn, tenant, rule) is not None


def versions(conn: Connection[Any], tenant: str, rule: str) -> list[Rule]:
    """Every version of a rule, oldest first, also of one that is deleted. Raises `NotFound`."""
    found = [codec.decode(Rule, text.encode()) for (text,) in conn.execute(_VERSIONS, (tenant, rule))]
    if not found:
        one(conn, tenant, rule)
    return found


def compare(conn: Connection[Any], tenant: str, drafts: Iterable[Draft]) -> list[Change]:
    """What `apply` would do, without doing it."""
    return [_change(draft, _stored(conn, tenant, draft.rule)) for draft in drafts]


def apply(conn: Connection[Any], tenant: str, drafts: Iterable[Draft], expected: int | None = None) -> list[Change]:
    """Stores what is new or differs, each as a version, all or nothing. The caller commits.

    `expected` is the version that it must have (`headwater.model.version`), for a single draft. Raises `Conflict` if it
    has another, `NotFound` if there is none and one is expected, `BadRequest` if there is no such tenant.
    """
    _lock(conn, tenant)
    changes = []
    for draft in drafts:
        if expected not in (None, NEW):
            one(conn, tenant, draft.rule)
        stored = _stored(conn, tenant, draft.rule)
        _check(draft.rule, stored, expected)
        change = _change(draft, stored)
        if change.what != "same":
            _write(conn, tenant, draft, change.version)
        changes.append(change)
    return changes


def delete(conn: Connection[Any], tenant: str, rule: str, expected: int | None = None) -> Change:
    """Deletes a rule, which is one more version of it. The caller commits.

    Raises `NotFound`, and `Conflict` if it has not the version that is expected (`headwater.model.version`).
    """
    _lock(conn, tenant)
    stored = one(conn, tenant, rule)
    _check(rule, stored, expected)
    _write(conn, tenant, stored, stored.version + 1, deleted=True)
    return Change(rule, "deleted", draft_of(stored), None, stored.version + 1)


def republish(conn: Connection[Any]) -> None:
    """Puts every rule that is judged into the outbox again, so that a replay finds it within the log that is kept."""
    with conn.transaction():
        # Waits for changes that are under way: an older version must never follow a newer one.
        conn.execute(f"lock table {RULES} in share mode")
        conn.execute(_AGAIN, (ALERT_RULES.name,))


def draft_of(rule: Rule) -> Draft:
    """What people wrote of a stored rule."""
    return Draft(**{name: getattr(rule, name) for name in Draft.__struct_fields__})


def _lock(conn: Connection[Any], tenant: str) -> None:
    conn.execute("select pg_advisory_xact_lock(hashtext('headwater rules'), hashtext(%s))", (tenant,))
    known = conn.execute(f"select tenant from {TENANTS} where tenant = %s", (tenant,)).fetchone()  # noqa: S608
    if known is None:
        raise BadRequest(f"expected a registered tenant, got {tenant!r}; register it, or correct the name", "tenant")


def _stored(conn: Connection[Any], tenant: str, rule: str) -> Rule | None:
    row = conn.execute(_ONE, (tenant, rule)).fetchone()
    return None if row is None else codec.decode(Rule, row[0].encode())


def _check(rule: str, stored: Rule | None, expected: int | None) -> None:
    found = NEW if stored is None or stored.deleted else stored.version
    check_version(f"rule {rule!r}", found, expected)


def _change(draft: Draft, stored: Rule | None) -> Change:
    version = stored.version if stored else 0
    if stored is None or stored.deleted:
        return Change(draft.rule, "created", None, draft, version + 1)
    before = draft_of(stored)
    if _json(draft) == _json(before):
        return Change(draft.rule, "same", before, draft, version)
    return Change(draft.rule, "changed", before, draft, version + 1)


def _json(draft: Draft) -> bytes:
    """As a stored one would be written: Python takes True for 1, and may hold 80 where JSON gave 80.0."""
    return msgspec.json.encode(msgspec.json.decode(msgspec.json.encode(draft), type=Draft))


def _write(conn: Connection[Any], tenant: str, draft: Draft, version: int, deleted: bool = False) -> None:
    said = {name: getattr(draft, name) for name in Draft.__struct_fields__}
    rule = Rule(v=codec.VERSION, tenant=tenant, version=version, deleted=deleted, **said)
    value = codec.encode(rule)
    conn.execute(_INSERT, (tenant, rule.rule, version, value.decode()))
    outbox.put(conn, ALERT_RULES, codec.rule_key(tenant, rule.rule), value)
