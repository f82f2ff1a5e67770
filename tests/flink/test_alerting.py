"""The job says what the evaluator says of the sorted log: edits, moves, silences, disorder, a restart in between."""

import random
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
from headwater.model.codec import device_key, rule_key
from headwater.model.device import DeviceRecord
from headwater.model.pack import PULSE_TENANT, Pack, pane_of
from headwater.model.rule import Equals, Rate, Rule, Scope, Silence, Step, Threshold
from headwater.model.settings import JobSettings
from headwater.rules.desk import subject_of
from headwater.rules.evaluate import Appended, Of, evaluate
from headwater.rules.item import slices
from jobs import alerting
from jobs.environment import options
from jobs.statements import Log, statement
from tests.flink.harness import PARTITIONS, WAIT_S, Lab, savepoint, wait_until

START = 1_760_000_000_000
DELAY_MS = 500
CONTROL = (topics.ALERT_RULES, topics.DEVICE_REGISTRY)
DEVICES = [f"d{number}" for number in range(8)]
CONDITIONS = [
    Threshold(metric="a", above=7.0, clear=5.0, escalate=[Step(severity="critical", level=9.0)]),
    Threshold(metric="a", below=2.0, hold_ms=300),
    Rate(metric="b", above=3.0, per_ms=100),
    Silence(for_ms=1_500),
    Silence(metric="b", for_ms=1_200),
    Equals(metric="mode", values=["fault"]),
]
SCOPES = [Scope(), Scope(), Scope(site="north"), Scope(tag="hot"), Scope(device="d1")]

Entry = tuple[int, topics.Topic, int, bytes, Pack | Rule | DeviceRecord | None]
"""Log time, topic, partition, key, record (None: a beat)."""


def partition_of(name: str) -> int:
    return sum(name.encode()) % PARTITIONS


def history(seed: int, steps: int = 700) -> list[Entry]:
    """Packs, edits of rules and devices, and beats of the control topics, by log time."""
    rng, now, log = random.Random(seed), START, []
    rules = dict.fromkeys(range(5), 0)
    devices = dict.fromkeys(DEVICES, 0)
    for number in range(steps):
        now += rng.choice([0, 3, 20, 60])
        if number < 5 or rng.random() < 0.04:
            rule = number if number < 5 else rng.choice(list(rules))
            rules[rule] += 1
            log.append(edit(rng, now, f"r{rule}", rules[rule]))
        if rng.random() < 0.04:
            device = rng.choice(DEVICES)
            devices[device] += 1
            log.append(move(rng, now, device, devices[device]))
        if number % 4 == 0:
            log += [(now, topic, partition, b"_pulse/x", None) for topic in CONTROL for partition in range(PARTITIONS)]
        device = rng.choice(DEVICES[: 4 if 250 < number < 450 else 8])
        ts = sorted({now - rng.randint(0, 200) for _ in range(rng.randint(1, 4))})
        log.append((now, topics.RAW, partition_of(device), device_key("t", device), measured(rng, device, ts)))
    return log


def measured(rng: random.Random, device: str, ts: list[int]) -> Pack:
    pane = pane_of(ts[0])
    at = [one - pane for one in ts if pane_of(one) == pane]
    values = {name: [float(rng.randint(0, 11)) for _ in at] for name in ("a", "b") if rng.random() < 0.8}
    texts = {"mode": [rng.choice(["run", "fault"]) for _ in at]} if rng.random() < 0.3 or not values else {}
    return Pack(v=1, tenant="t", device=device, pane=pane, at=at, metrics=values, texts=texts, received=ts[-1])


def edit(rng: random.Random, now: int, name: str, version: int) -> Entry:
    rule = Rule(
        v=1,
        tenant="t",
        rule=name,
        version=version,
        severity=rng.choice(["warning", "minor"]),
        when=rng.choice(CONDITIONS),
        scope=rng.choice(SCOPES),
        enabled=rng.random() < 0.9,
        deleted=rng.random() < 0.05,
    )
    return now, topics.ALERT_RULES, partition_of(name), rule_key("t", name).encode(), rule


def move(rng: random.Random, now: int, device: str, version: int) -> Entry:
    record = DeviceRecord(
        v=1,
        tenant="t",
        device=device,
        version=version,
        changed_ms=now,
        deleted=rng.random() < 0.1,
        site=rng.choice(["north", "south", None]),
        tags=rng.choice([[], ["hot"]]),
    )
    return now, topics.DEVICE_REGISTRY, partition_of(device), device_key("t", device), record


def expected(log: list[Entry], until: int) -> list[AlertEvent]:
    """What the evaluator says of the whole log."""
    items = [
        Of("t", record.device, item)
        for now, _, _, _, record in log
        if isinstance(record, Pack)
        for item in slices(record, now)
    ]
    rules = [Appended(now, record) for now, _, _, _, record in log if isinstance(record, Rule)]
    subjects: dict = {}
    for now, _, _, _, record in log:
        if isinstance(record, DeviceRecord):
            subjects.setdefault(("t", record.device), []).append(subject_of(record, now + DELAY_MS))
    return evaluate(items, rules, subjects, until, DELAY_MS)


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
            value = b'{"v":1,"tenant":"_pulse","beat":0}' if record is None else msgspec.json.encode(record)
            producer.produce(self.prefix + topic.name, key=key, value=value, partition=partition, timestamp=now)
            producer.poll(0)
        assert producer.flush(WAIT_S) == 0

    def beat(self, now: int) -> None:
        """On every partition of everything, which lets log time go on."""
        beat = msgspec.json.encode(
            Pack(v=1, tenant=PULSE_TENANT, device="x", pane=pane_of(now), at=[0], metrics={"beat": [1.0]})
        )
        producer = Producer({"bootstrap.servers": self.lab.bootstrap})
        for topic in (topics.RAW, *CONTROL):
            for partition in range(PARTITIONS):
                producer.produce(
                    self.prefix + topic.name, key=b"_pulse/x", value=beat, partition=partition, timestamp=now
                )
        assert producer.flush(WAIT_S) == 0

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
    return (event.log_time, event.device, event.rule, event.event_time, event.happened, event.alert_id)


def compare(log: Topics, wanted: list[AlertEvent]) -> None:
    wanted = sorted(wanted, key=order)
    assert {event.happened for event in wanted} == {"raised", "escalated", "deescalated", "cleared"}
    assert {"silence", "rule-changed", "out-of-scope"} <= {event.why for event in wanted}
    wait_until(lambda: len(log.said()) >= len(wanted), f"{len(wanted)} events")
    assert log.said() == wanted


@pytest.mark.parametrize("seed", [2, 8])
def test_the_job_says_what_the_evaluator_says_of_the_log(lab: Lab, seed: int):
    entries, log = history(seed), Topics(lab)
    until = entries[-1][0] + 5_000
    job = log.start()
    try:
        for part in range(0, len(entries), 200):
            log.append(entries[part : part + 200])
        log.beat(until)
        compare(log, expected(entries, until - 1))
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
    entries, log = history(7), Topics(lab)
    until, half = entries[-1][0] + 5_000, len(entries) // 2
    job = log.start()
    log.append(entries[:half])
    wait_until(lambda: len(log.said()) > 5, "the first events")
    place = savepoint(job, tmp_path)
    job.cancel().result()
    log.append(entries[half:])
    log.beat(until)
    given = {}
    if changed:
        monkeypatch.setattr(alerting, "statement", turned)
        given = {"execution__state_recovery__ignore_unclaimed_state": "true"}
    job = log.start(execution__state_recovery__path=place, **given)
    try:
        compare(log, expected(entries, until - 1))
    finally:
        job.cancel().result()
