"""The job says what the evaluator says of the sorted log: edits, moves, silences, disorder, a restart in between."""

import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from headwater.model import codec, topics
from headwater.model.alert import AlertEvent
from headwater.model.settings import JobSettings
from headwater.truth.alert_logs import CONTROL, Entry, beats, expected, merged, random_log, with_beats
from jobs import alerting
from jobs.environment import options
from jobs.statements import Log, statement
from tests.flink.harness import PARTITIONS, Lab, savepoint, wait_until

DELAY_MS = 500


class Topics:
    """The topics of one test."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.prefix = lab.make_stamped("alerting", topics.RAW, *CONTROL, topics.ALERTS)

    def append(self, log: Iterable[Entry]) -> None:
        self.lab.append(self.prefix, log)

    def end(self, now: int) -> None:
        """A beat on every partition of everything, which lets log time go on."""
        self.append(beats((topics.RAW, *CONTROL), now, PARTITIONS))

    def start(self, **given: str):
        settings: JobSettings = self.lab.settings(partitions=PARTITIONS, rules_delay_ms=DELAY_MS)
        target = {"execution.target": "remote", "rest.address": "127.0.0.1", "rest.port": self.lab.rest_port}
        target |= {"python.executable": sys.executable, "python.client.executable": sys.executable}
        extra = {name.replace("__", ".").replace("_", "-"): value for name, value in given.items()}
        tables = alerting.open_tables({**options(settings), **target, "pipeline.name": self.prefix, **extra})
        return alerting.build(tables, settings, Log(prefix=self.prefix)).execute().get_job_client()

    def count(self) -> int:
        """How many events, with repeats."""
        return self.lab.count(self.prefix + topics.ALERTS.name)

    def said(self) -> list[AlertEvent]:
        """Every event, a repeat once."""
        found = [codec.decode(AlertEvent, one.value()) for one in self.lab.read(self.prefix + topics.ALERTS.name)]
        return sorted(set(found), key=order)


def order(event: AlertEvent) -> tuple:
    return (event.log_time, event.tenant, event.device, event.rule, event.event_time, event.happened, event.alert_id)


def compare(log: Topics, wanted: list[AlertEvent]) -> None:
    wanted = sorted(wanted, key=order)
    assert {event.happened for event in wanted} == {"raised", "escalated", "deescalated", "cleared"}
    assert {"silence", "rule-changed", "out-of-scope"} <= {event.why for event in wanted}
    wait_until(lambda: len(log.said()) >= len(wanted), f"{len(wanted)} events")
    assert log.said() == wanted


def whole_log(*seeds: int, steps: int = 700) -> list[Entry]:
    """Random logs, a tenant each, as one."""
    return merged(random_log(seed, f"t{seed}", PARTITIONS, steps) for seed in seeds)


def test_each_of_ten_logs_over_a_restart_from_an_older_savepoint_is_as_the_evaluator_says(lab: Lab, tmp_path: Path):
    entries, log = whole_log(*range(1, 11), steps=400), Topics(lab)
    until = entries[-1].log_time + 5_000
    beaten = list(with_beats(entries, PARTITIONS))
    third = len(beaten) // 3
    job = log.start()
    log.append(beaten[:third])
    wait_until(lambda: log.count() > 50, "the first events")
    place = savepoint(job, tmp_path)
    before = log.count()
    log.append(beaten[third : 2 * third])
    wait_until(lambda: log.count() > before + 50, "events that the savepoint does not know of")
    job.cancel().result()
    log.append(beaten[2 * third :])
    log.end(until)
    job = log.start(execution__state_recovery__path=place)
    try:
        compare(log, expected(entries, until - 1, DELAY_MS))
        assert log.count() > len(log.said()), "nothing was said twice: the savepoint was not older"
    finally:
        job.cancel().result()


def turned(name: str, settings: JobSettings, log: Log) -> str:
    """The statements of a plan whose sources stand in another order."""
    text = statement(name, settings, log)
    if name != "views/control":
        return text
    head, _, body = text.partition(" as\n")
    first, second = body.split("union all")
    return f"{head} as\n{second}\nunion all\n{first}"


def test_a_restart_with_sources_in_another_order_changes_nothing(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    entries, log = whole_log(7, 8), Topics(lab)
    until, half = entries[-1].log_time + 5_000, len(entries) // 2
    job = log.start()
    log.append(with_beats(entries[:half], PARTITIONS))
    wait_until(lambda: log.count() > 5, "the first events")
    place = savepoint(job, tmp_path)
    job.cancel().result()
    log.append(with_beats(entries[half:], PARTITIONS))
    log.end(until)
    monkeypatch.setattr(alerting, "statement", turned)
    given = {"execution__state_recovery__ignore_unclaimed_state": "true"}
    job = log.start(execution__state_recovery__path=place, **given)
    try:
        compare(log, expected(entries, until - 1, DELAY_MS))
    finally:
        job.cancel().result()
