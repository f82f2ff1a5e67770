"""Processes die at random moments under load, and every acknowledged reading is still counted once.

A round: numbered readings flow, one process (sometimes two at once) gets SIGKILL, or SIGSTOP for a while, and must be
healthy again. Then the load pauses, all is acknowledged, the rows that the round touched must be those of the plain
reference, the audit of the log against the stores must balance, and the alerts must be those of the evaluator over the
log. Between the kills a device uploads what it had measured hours ago, messages are sent again, rules are edited.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg

from headwater.clock import now_ms
from headwater.model.pack import PANE_MS
from headwater.model.settings import JobSettings, Settings
from headwater.raw import client as raw
from headwater.stack import record
from headwater.stack.state import State
from headwater.truth import judged, stored
from headwater.truth.alerts import AlertTruth
from headwater.truth.audit import Audit, Wanted
from headwater.truth.enriched import EnrichedTruth
from headwater.truth.load import LoadDevice, NumberedLoad, Shape, register
from headwater.truth.reference import Expected, Key, Series
from headwater.truth.span import Reader
from headwater.truth.stores import RawRows, Rows
from headwater.truth.victims import Victims

HOUR_MS = 3_600_000
EQUAL_S = 180.0


@dataclass(frozen=True)
class Plan:
    """What a trial does. `targets` empty: every program of the stack that a reading passes.

    `pairs` and `freezes` are the shares of rounds with two kills at once, and with SIGSTOP for `freeze_s` in place of a
    kill. A target that is named twice is chosen twice as often. The load runs `flood` times as fast while the broker is
    the victim. `old_every` is after how many rounds a device uploads an old buffer.
    """

    rounds: int = 1
    seed: int = 1
    minutes: float = 60.0
    targets: tuple[str, ...] = ()
    in_turn: bool = False
    pairs: float = 0.15
    freezes: float = 0.1
    freeze_s: float = 20.0
    flood: float = 1.0
    old_every: int = 3
    audit: bool = True


@dataclass
class Outcome:
    """What a trial found. `unacknowledged` to `wrong_latest`, `gaps` and all that is missing, extra or wrong must be 0.

    `enriched` are packs of the enrichment job, 0 if it is not wanted on this stack.
    """

    rounds: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    freezes: dict[str, int] = field(default_factory=dict)
    readings: int = 0
    old_readings: int = 0
    resent_messages: int = 0
    refused_messages: int = 0
    unacknowledged: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0
    wrong_latest: int = 0
    audits: int = 0
    audited_readings: int = 0
    gaps: int = 0
    alert_events: int = 0
    alert_events_missing: int = 0
    alert_events_extra: int = 0
    enriched: int = 0
    enriched_missing: int = 0
    enriched_wrong: int = 0
    slowest_equal_s: float = 0.0
    examples: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """True if nothing was lost, doubled or changed."""
        wrong = self.missing + self.extra + self.different + self.wrong_latest + self.gaps
        wrong += self.alert_events_missing + self.alert_events_extra + self.enriched_missing + self.enriched_wrong
        return not (self.unacknowledged or wrong)

    def note(self, difference: stored.Difference) -> None:
        """Takes in what a comparison found."""
        missing, extra, different = difference
        self.missing, self.extra = self.missing + len(missing), self.extra + len(extra)
        self.different += len(different)
        self.examples += [str(one) for one in (*missing[:3], *extra[:3], *different[:3])]


class Ledger:
    """The plain reference of a running load: folds what was sent since the last look, and says which rows that is."""

    def __init__(self, load: NumberedLoad) -> None:
        self._load = load
        self._taken = [0] * len(load.devices)
        self._series: dict[Key, Series] = {}

    def take(self) -> dict[Key, Expected]:
        """The rows that messages since the last call belong to, as they must stand now."""
        touched: set[Key] = set()
        for number, device in enumerate(self._load.devices):
            for message in device.sent[self._taken[number] :]:
                for metric, values in message.metrics.items():
                    for ts, value in zip(message.ts, values, strict=True):
                        key = (device.tenant, device.name, metric, ts - ts % PANE_MS)
                        self._series.setdefault(key, Series()).values.setdefault((ts, device.name), value)
                        touched.add(key)
            self._taken[number] = len(device.sent)
        return {key: self._series[key].expected() for key in touched}

    def knows(self, key: Key) -> bool:
        """Whether any message so far had a reading of this row."""
        return key in self._series

    def all(self) -> dict[Key, Expected]:
        """Every row."""
        self.take()
        return {key: series.expected() for key, series in self._series.items()}


class Trial:
    """One run against the stack of `state`."""

    def __init__(
        self, settings: Settings, state: State, plan: Plan, shape: Shape, tenant: str, say: Callable[[str], None]
    ) -> None:
        self.plan, self.tenant, self._say = plan, tenant, say
        self.outcome = Outcome()
        self._url = settings.postgres.get_secret_value()
        self._valkey = settings.valkey.get_secret_value()
        self._random = random.Random(plan.seed)
        self._victims = Victims(state, plan.targets)
        tokens = register(self._url, tenant, (f"load-{plan.seed}-{number:04d}" for number in range(shape.devices)))
        self._load = NumberedLoad(settings.mqtt, tenant, tokens, shape)
        self._ledger = Ledger(self._load)
        self._balance = "no audit"
        settings_of_jobs = JobSettings()
        self._reader = Reader(settings_of_jobs.kafka)
        now = now_ms()
        self._alerts = AlertTruth(self._reader, settings_of_jobs, tenant, now)
        enriched = record.peek(state, "enrichment").wanted
        self._enriched = EnrichedTruth(self._reader, tenant, now) if enriched else None
        self._old_ms = now_ms() - 20 * HOUR_MS

    def run(self, control: bool = False) -> Outcome:
        """All rounds, or those until an interrupt (Ctrl-C), then every row once more.

        With `control` a stored row is taken away first: it must be found.
        """
        self._load.start()
        begun_ms = now_ms()
        until = time.monotonic() + self.plan.minutes * 60
        try:
            for number, names in enumerate(self._choices()):
                if time.monotonic() > until:
                    break
                self._round(number, names)
                if not self.outcome.good:
                    break
            time.sleep(self._random.uniform(0.5, 2.0))
        except KeyboardInterrupt:
            self._say("      stopped; what was sent so far is compared")
        finally:
            self.outcome.unacknowledged = self._load.stop()
        expected = self._ledger.all()
        self.outcome.readings = sum(row.count for row in expected.values())
        self.outcome.refused_messages = sum(device.refused for device in self._load.devices)
        if control:
            self._equal(expected)
            stored.take_a_row_away(self._url, self.tenant)
        if self.outcome.good:
            self.outcome.note(self._equal(expected, seconds=0.0 if control else EQUAL_S))
            # Valkey's sink may have been the last that was killed: it has the time that rows have.
            (self.outcome.wrong_latest,) = stored.wait_for_none(
                lambda: (stored.wrong_latest(self._valkey, self.tenant, expected),), EQUAL_S
            )
            self._audit(begun_ms)
            self._judge()
        judged.end(self._url, self.tenant)
        self._reader.close()
        return self.outcome

    def _choices(self) -> Iterator[tuple[str, ...]]:
        names = self._victims.names
        for number in range(self.plan.rounds * (len(names) if self.plan.in_turn else 1)):
            if self.plan.in_turn:
                yield (names[number % len(names)],)
            elif self._random.random() < self.plan.pairs and len(names) > 1:
                yield tuple(dict.fromkeys(self._random.sample(names, 2)))
            else:
                yield (self._random.choice(names),)

    def _round(self, number: int, names: tuple[str, ...]) -> None:
        begun_ms = now_ms()
        names_of_devices = [device.name for device in self._load.devices]
        number_now = max(device.number for device in self._load.devices)
        judged.edit(self._url, self.tenant, names_of_devices, number_now, self._random)
        self._load.speed = self.plan.flood if "broker" in names else 1.0
        time.sleep(self._random.uniform(0.5, 3.0))
        frozen = not self.plan.in_turn and len(names) == 1 and self._random.random() < self.plan.freezes
        counts = self.outcome.freezes if frozen else self.outcome.kills
        seconds = self._victims.freeze(names[0], self.plan.freeze_s) if frozen else self._victims.kill(*names)
        for name in names:
            counts[name] = counts.get(name, 0) + 1
        self.outcome.rounds += 1
        self.outcome.unacknowledged = self._load.pause()
        begun = time.monotonic()
        if self.outcome.unacknowledged == 0:
            self._be_late(number)
            self.outcome.note(self._equal(self._ledger.take()))
        equal_s = time.monotonic() - begun
        if self.outcome.good:
            self._judge()
            self._audit(begun_ms)
        self.outcome.slowest_equal_s = max(self.outcome.slowest_equal_s, round(equal_s, 1))
        self._load.resume()
        did = f"stopped {names[0]} for {self.plan.freeze_s:.0f} s" if frozen else f"killed {' and '.join(names)}"
        verdict = f"rows equal {equal_s:.1f} s later, {self._balance}" if self.outcome.good else "NOT EQUAL"
        self._say(f"{number + 1:>4}  {did}: healthy after {seconds:.1f} s, {verdict}")

    def _be_late(self, number: int) -> None:
        """A device sends a buffer of long ago, and some send again what is acknowledged already."""
        for device in self._random.sample(self._load.devices, min(3, len(self._load.devices))):
            if device.sent:
                device.resend(self._random.choice(device.sent[-50:]))
                self.outcome.resent_messages += 1
        if self.plan.old_every and number % self.plan.old_every == 0:
            self._upload(self._random.choice(self._load.devices))
        self.outcome.unacknowledged = self._load.pause()

    def _upload(self, device: LoadDevice) -> None:
        step = 1_000
        for _ in range(20):
            device.send_old(self._old_ms, step)
            self._old_ms += step * device.shape.pack
            self.outcome.old_readings += device.shape.pack * device.shape.metrics

    def _audit(self, from_ms: int) -> None:
        """The log against the stores, from a log time on; what is found to be lost or double counts as a gap."""
        if not self.plan.audit:
            return
        settings = JobSettings()
        wanted = Wanted(settings.horizon_ms, settings.ahead_ms, settings.pack_cap, from_ms=from_ms)
        with Reader(settings.kafka) as reader, psycopg.connect(self._url, autocommit=True) as connection:
            report = Audit(reader, Rows(connection), RawRows(raw.connect(settings, "headwater-chaos")), wanted).run()
        self.outcome.audits += 1
        self.outcome.audited_readings += report.total("readings")
        self.outcome.gaps += len(report.gaps)
        self.outcome.examples += [str(gap) for gap in report.gaps[:3]]
        self._balance = report.said

    def _judge(self) -> None:
        """The evaluator over the log so far against the events that are stored; and enriched packs against the log."""
        self._alerts.look()
        missing, extra = self._alerts.difference(self._url, EQUAL_S)
        self.outcome.alert_events = len(self._alerts.events)
        self.outcome.alert_events_missing += len(missing)
        self.outcome.alert_events_extra += len(extra)
        self.outcome.examples += [f"alert missing: {one}" for one in sorted(missing)[:3]]
        self.outcome.examples += [f"alert too many: {one}" for one in sorted(extra)[:3]]
        if self._enriched is not None:
            self._enriched.look()
            lost, wrong = self._enriched.difference(EQUAL_S)
            self.outcome.enriched = len(self._enriched.wanted)
            self.outcome.enriched_missing += len(lost)
            self.outcome.enriched_wrong += len(wrong)
            self.outcome.examples += [f"pack not enriched, or wrongly: {one}" for one in (*lost[:3], *wrong[:3])]

    def _equal(self, expected: dict[Key, Expected], seconds: float = EQUAL_S) -> stored.Difference:
        panes = {key[3] for key in expected}

        def read() -> dict[Key, Expected]:
            with psycopg.connect(self._url, connect_timeout=5) as connection:
                found = stored.rows(connection, self.tenant, panes)
            # A row in one of these panes that belongs to an earlier round is no surprise, unless nobody expects it.
            return {key: row for key, row in found.items() if key in expected or not self._ledger.knows(key)}

        return stored.wait_until_equal(read, expected, seconds)


def verdict(outcome: Outcome) -> dict[str, Any]:
    """The outcome as one flat object for scripts."""
    return {**outcome.__dict__, "good": outcome.good}
