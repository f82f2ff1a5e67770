"""The job says what the evaluator says of the sorted log: edits, moves, silences, disorder, a restart in between."""

import sys
import uuid
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from headwater.model import codec, topics
from headwater.model.alert import AlertEvent
from headwater.model.settings import JobSettings
from headwater.truth.alert_logs import CONTROL, Entry, beats, expected, merged, random_log, with_beats
from jobs import alerting
from jobs.environment import options
from jobs.statements import Log, statement
from tests.flink.harness import PARTITIONS, WAIT_S, Lab, savepoint, wait_until

DELAY_MS = 500
BEAT = b'{"v":1,"tenant":"_pulse","beat":0}'


class Topics:
    """The topics of one test."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.prefix = lab, f"alerting-{uuid.uuid4().hex[:8]}-"
        # Stamped by the test: minutes of log pass in seconds.
        config = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
        names = [topic.name for topic in (topics.RAW, *CONTROL, topics.ALERTS)]
        admin = AdminClient({"bootstrap.servers": lab.bootstrap})
        wanted = [NewTopic(self.prefix + name, PARTITIONS, 1, config=config) for name in names]
        for made in admin.create_topics(wanted).values():
            made.result(timeout=WAIT_S)

    def append(self, log: Iterable[Entry]) -> None:
        producer = Producer({"bootstrap.servers": self.lab.bootstrap, "linger.ms": 5, "acks": "all"})
        for now, topic, partition, key, record in log:
            value = BEAT if record is None else msgspec.json.encode(record)
            producer.produce(self.prefix + topic.name, key=key, value=value, partition=partition, timestamp=now)
            producer.poll(0)
        assert producer.flush(WAIT_S) == 0

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


def whole_log(*seeds: int) -> list[Entry]:
    """Random logs, a tenant each, as one."""
    return merged(random_log(seed, f"t{seed}", PARTITIONS) for seed in seeds)


def test_the_job_says_what_the_evaluator_says_of_each_of_ten_logs(lab: Lab):
    entries, log = whole_log(*range(1, 11)), Topics(lab)
    until = entries[-1].log_time + 5_000
    job = log.start()
    try:
        beaten = list(with_beats(entries, PARTITIONS))
        for part in range(0, len(beaten), 2_000):
            log.append(beaten[part : part + 2_000])
        log.end(until)
        compare(log, expected(entries, until - 1, DELAY_MS))
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


@pytest.mark.parametrize("changed", [False, True])
def test_a_restart_in_between_changes_nothing(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: bool):
    entries, log = whole_log(7, 8), Topics(lab)
    until, half = entries[-1].log_time + 5_000, len(entries) // 2
    job = log.start()
    log.append(with_beats(entries[:half], PARTITIONS))
    wait_until(lambda: len(log.said()) > 5, "the first events")
    place = savepoint(job, tmp_path)
    job.cancel().result()
    log.append(with_beats(entries[half:], PARTITIONS))
    log.end(until)
    given = {}
    if changed:
        monkeypatch.setattr(alerting, "statement", turned)
        given = {"execution__state_recovery__ignore_unclaimed_state": "true"}
    job = log.start(execution__state_recovery__path=place, **given)
    try:
        compare(log, expected(entries, until - 1, DELAY_MS))
    finally:
        job.cancel().result()
