"""The active alerts of every tenant, and a bounded memory of which changed when.

It is a plain data structure without clock, thread or I/O, folded by one feed and read by every client. Whatever the
order, repeats and restarts of the log: an episode is what its events make of it (`headwater.model.episode`), and
whoever has seen everything up to a `seq` that is still remembered is told all that changed since, each episode once, as
it is now. What is forgotten is answered with None, never with a part.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from headwater.model.alert import AlertEvent
from headwater.model.episode import Episode, episode, joined
from headwater.model.rule import SEVERITIES, Severity

Counts = dict[Severity, int]


class _Told(NamedTuple):
    """An episode, and when it last changed in this process's own order."""

    seq: int
    episode: Episode


class _Tenant:
    """Episodes by id, the last changed last; `cleared` are ids of which nothing else is known."""

    def __init__(self) -> None:
        self.told: dict[str, _Told] = {}
        self.cleared: set[str] = set()
        self.active: Counter[Severity] = Counter()
        self.floor_seq = 0


class AlertBoard:
    """Folds events of alerts; answers what is active and what changed since.

    Memory: every active episode, and of those that were cleared the `bound` newest, so that what comes again of them
    brings none back.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._tenants: dict[str, _Tenant] = {}
        self._cleared: deque[tuple[_Tenant, str]] = deque()
        self.seq = 0

    def fold(self, event: AlertEvent) -> Episode | None:
        """Takes in an event; its episode, or None if it says nothing new."""
        return self.seed(episode(event))

    def seed(self, given: Episode) -> Episode | None:
        """Takes in what a store, or an event, says of an episode; the same."""
        tenant = self._tenant(given.tenant)
        if given.alert_id in tenant.cleared:
            return None
        held = tenant.told.get(given.alert_id)
        after = given if held is None else joined(held.episode, given)
        if held is not None and after == held.episode:
            return None
        was_active = held is not None and held.episode.cleared is None
        if held is not None and was_active:
            tenant.active[held.episode.severity] -= 1
        self.seq += 1
        tenant.told.pop(given.alert_id, None)
        tenant.told[given.alert_id] = _Told(self.seq, after)
        if after.cleared is None:
            tenant.active[after.severity] += 1
        elif held is None or was_active:
            self._remember(tenant, given.alert_id)
        return after

    def seed_cleared(self, tenant: str, alert_ids: Iterable[str]) -> None:
        """Takes from a store the ids of alerts that were cleared, oldest first."""
        of = self._tenant(tenant)
        for alert_id in alert_ids:
            if alert_id not in of.told and alert_id not in of.cleared:
                of.cleared.add(alert_id)
                self._remember(of, alert_id)

    def newest(self, tenant: str, most: int) -> list[Episode]:
        """At most `most` active episodes, the last changed first."""
        active = (told.episode for told in self._backwards(tenant) if told.episode.cleared is None)
        return _sorted(islice(active, most))

    def since(self, tenant: str, seq: int) -> list[Episode] | None:
        """What changed after `seq`, the last first, also what was cleared; None if part of it is forgotten."""
        if tenant in self._tenants and seq < self._tenants[tenant].floor_seq:
            return None
        changed = []
        for told in self._backwards(tenant):
            if told.seq <= seq:
                break
            changed.append(told.episode)
        return _sorted(changed)

    def counts(self, tenant: str) -> Counts:
        """How many are active, by severity, the worst first."""
        known = self._tenants.get(tenant)
        return _counts(known.active if known else Counter())

    def all_counts(self) -> Counts:
        """The same of all tenants together."""
        total: Counter[Severity] = Counter()
        for tenant in self._tenants.values():
            total.update(tenant.active)
        return _counts(total)

    @property
    def remembered(self) -> int:
        """Cleared alerts in memory, at most `bound`."""
        return len(self._cleared)

    def _tenant(self, name: str) -> _Tenant:
        return self._tenants.setdefault(name, _Tenant())

    def _backwards(self, tenant: str) -> Iterator[_Told]:
        known = self._tenants.get(tenant)
        return reversed(known.told.values()) if known else iter(())

    def _remember(self, tenant: _Tenant, alert_id: str) -> None:
        self._cleared.append((tenant, alert_id))
        while len(self._cleared) > self._bound:
            oldest, forgotten = self._cleared.popleft()
            oldest.cleared.discard(forgotten)
            told = oldest.told.pop(forgotten, None)
            if told is not None:
                oldest.floor_seq = max(oldest.floor_seq, told.seq)


def _sorted(episodes: Iterable[Episode]) -> list[Episode]:
    return sorted(episodes, key=lambda each: (each.changed, each.alert_id), reverse=True)


def _counts(active: Counter[Severity]) -> Counts:
    return {severity: active[severity] for severity in reversed(SEVERITIES)}
