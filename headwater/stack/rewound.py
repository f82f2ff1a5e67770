"""Keeps a job whose state fits only the plan that made it, and whose rows carry generations: aggregation.

- its newest snapshot is of the same plan and younger than the longest outage: the job goes on from it;
- it is older, or was discarded: empty state, rewound to before the panes that were open then;
- the plan has changed: the same, and the rows get a higher generation, which is shown when the job has caught up;
- there is none: from the beginning of the log.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from headwater.clock import now_ms
from headwater.model.errors import StackError
from headwater.model.settings import JobSettings
from headwater.model.topics import DEVICE_REGISTRY
from headwater.stack import plans
from headwater.stack.cluster import Job
from headwater.stack.jobs import SNAPSHOT_TIMEOUT_MS, Keeper, Start
from headwater.stack.record import DISCARDED, Record, save
from headwater.stack.rewind import RawLog, has_caught_up, plan_rewind
from headwater.stack.snapshots import Snapshot
from headwater.stack.state import State

MARK_EVERY_S = 60.0
"""How often the generation that is shown is said again, for readers that start later."""


@dataclass(frozen=True)
class Choice:
    """How the job is to start, and why in words: from `snapshot`, rewound with empty state, or from the beginning.

    `changed`: its query is another one, so its rows need a higher generation.
    """

    why: str
    snapshot: Snapshot | None = None
    rewound: bool = False
    changed: bool = False


def choose_start(known: Record, found: list[Snapshot], settings: JobSettings, plan: str, now: int) -> Choice:
    """The decision alone: no clock, no disk. `found` is newest first."""
    last = next(reversed(known.runs.values()), plan)
    if known.raise_next or last not in (plan, DISCARDED):
        return Choice("the plan has changed: empty state, rewound, a higher generation", rewound=True, changed=True)
    if not found and known.rebuild is None:
        return Choice("no snapshot: from the beginning of the log")
    if not found or known.runs.get(found[0].job_id) != plan:
        return Choice("a rebuild: empty state, rewound", rewound=True)
    age = now - found[0].taken_ms
    if age > settings.outage_ms:
        return Choice(f"the newest snapshot is {age // 1000} s old: empty state, rewound", rewound=True)
    usable = [one for one in found if str(one.path) not in known.bad and known.runs.get(one.job_id) == plan]
    if not usable:
        return Choice("no snapshot could be restored: empty state, rewound", rewound=True)
    return Choice(f"from {usable[0].path.name}", usable[0])


class RewoundKeeper(Keeper):
    """Restores, or rewinds and rebuilds; shows a generation when it is whole."""

    generations = True

    def __init__(self, state: State, name: str, settings: JobSettings) -> None:
        super().__init__(state, name, settings)
        self.log = RawLog(settings, f"headwater-{name}")
        self._marked_at = float("-inf")

    def choose(self, known: Record, found: list[Snapshot], plan: str) -> Start:
        """See `Keeper`."""
        chosen = choose_start(known, found, self.settings, plan, now_ms())
        options: list[str] = []
        if chosen.snapshot:
            options += ["--savepoint", chosen.snapshot.uri]
        if chosen.rewound:
            rebuild = plan_rewind(known, self.log, self.settings, self._good_ms(found), chosen.changed)
            if rebuild.from_ms:
                options += ["--start-from-ms", str(rebuild.from_ms)]
            self.state.remember(generation=known.generation)
            # Whatever happens next, the job that may soon run is one that has not caught up.
            save(self.state, known)
        options += [word for pane, number in known.generations for word in ("--generation", f"{pane}:{number}")]
        return Start(chosen.why, tuple(options), chosen.snapshot)

    def watch(self, known: Record, live: Job) -> str:  # noqa: ARG002  # what it has read is in Kafka
        """Ends a rebuild that has caught up, and says from time to time which generation is shown."""
        if known.rebuild is not None:
            if not has_caught_up(known.rebuild, self.log.committed(), self.log.committed(DEVICE_REGISTRY.name)):
                return ""
            if known.rebuild.raised:
                self.log.mark(known.rebuild.raised)
            self._marked_at = time.monotonic()
            raised, known.rebuild = known.rebuild.raised, None
            return f"caught up; generation {raised} is shown" if raised else "caught up"
        if known.generation and time.monotonic() - self._marked_at >= MARK_EVERY_S:
            self.log.mark(known.generation)
            self._marked_at = time.monotonic()
        return ""

    def check_upgrade(self, known: Record, live: Job) -> None:
        """See `Keeper`."""
        if known.runs.get(live.id) != plans.plan_digest(self.name, self.settings):
            raise StackError(
                f"The plan of {self.name} has changed, the running job's state does not fit it: nothing was done.",
                "`headwater jobs rebuild --changed` reads the log again from before the panes that are open.",
            )

    def _good_ms(self, found: list[Snapshot]) -> int:
        """The last good log time; 0 if nothing is known of any."""
        if not found:
            return 0
        reached = self.log.reached()
        return found[0].taken_ms - SNAPSHOT_TIMEOUT_MS if reached is None else reached
