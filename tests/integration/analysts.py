"""What tests of analysts' SQL share: a cluster and a gateway, records in, rows and alerts out, and random readings."""

import base64
import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Message, Producer

from headwater.cli.sql_console import Console, Reading
from headwater.model import topics
from headwater.model.alert import AlertEvent
from headwater.model.codec import decode, device_key, encode, row_key
from headwater.model.device import DeviceRecord
from headwater.model.pack import Aggregate, DeadLetter, Pack, pane_of
from headwater.model.settings import JobSettings, PulseSettings, Settings
from headwater.sql import deployed, tables
from headwater.sql.keeping import QueryKeeper
from headwater.sql.pattern import Pattern
from headwater.sql.session import Session
from headwater.sql.split import statements
from headwater.stack import flink, gateway, jars, migrate, postgres
from headwater.stack.foreground import running
from headwater.stack.state import State
from headwater.stack.topics import create_all
from headwater.workers.pulse import Pulse

TENANT = "analysts"
DOCS = Path(__file__).parents[2] / "docs/sql.md"


@contextmanager
def stack(kafka: str, postgres_server: State, folder: Path, empty: Path) -> Iterator[State]:
    """A cluster and a gateway with what they need: topics, a pulse on them, a migrated database."""
    given = {
        "HEADWATER_PORTS": "free",
        "HEADWATER_KAFKA": kafka,
        "HEADWATER_POSTGRES": postgres.create_database(postgres_server, "analysts"),
    }
    state = State.open(folder, given)
    migrate.apply(state.url("postgres"))
    create_all(Settings(kafka=kafka))
    for name in ("flink", "gateway"):
        jars.ensure(state.folder, name)
    flink.prepare(state)
    logs = state.folder / "logs"
    programs = [replace(one(state), folder=empty) for one in (flink.jobmanager, flink.taskmanager, gateway.program)]
    stopping = threading.Event()
    pulse = threading.Thread(target=Pulse(PulseSettings(kafka=kafka)).run, args=(stopping,))
    with running(programs[0], logs), running(programs[1], logs), running(programs[2], logs):
        pulse.start()
        try:
            yield state
        finally:
            stopping.set()
            pulse.join()


def answers(state: State, settings: JobSettings, wheel: str, reading: Reading, statement: str) -> list:
    """What the console says to a statement, an object a row."""
    said: list[str] = []
    with Session(gateway.url(state), tables.properties(settings, wheel, 1)) as session:
        Console(session, settings, reading, said.append, json=True).run(statement)
    return [json.loads(line) for line in said]


def documented(words: str) -> str:
    """The example of docs/sql.md that has these words."""
    [found] = [one for one in re.findall(r"```sql\n(.*?)```", DOCS.read_text(), re.S) if words in one]
    return statements(found)[0][0]


def producer(kafka: str) -> Producer:
    """One that puts a device into the partition where its door would."""
    return Producer({"bootstrap.servers": kafka, "partitioner": "murmur2_random", "linger.ms": 5})


def publish(kafka: str, device: str, count: int, **sums: float) -> int:
    """A row of each metric for the pane of now, and a pack with the same; returns the pane."""
    out = producer(kafka)
    now = time.time_ns() // 1_000_000
    pane = pane_of(now)
    metrics = {name: [total / count] for name, total in sorted(sums.items())}
    pack = Pack(v=1, tenant=TENANT, device=device, pane=pane, at=[now - pane], metrics=metrics, received=now)
    out.produce(topics.RAW.name, key=device_key(TENANT, device), value=encode(pack))
    for name, total in sums.items():
        mean = total / count
        row = Aggregate(
            v=1, tenant=TENANT, device=device, metric=name, pane=pane, generation=1, count=count, sum=total,
            sum_sq=mean * mean * count, min=mean, max=mean, first_ms=pane, last_ms=now, last=mean, as_of=now,
            received=now,
        )  # fmt: skip
        out.produce(topics.PROCESSED.name, key=row_key(row), value=encode(row), timestamp=now)
    assert out.flush(120) == 0
    return pane


def known(kafka: str, device: str, site: str) -> None:
    """The registry says that a device is at a site."""
    record = DeviceRecord(v=1, tenant=TENANT, device=device, version=1, changed_ms=1, site=site, model="boiler")
    out = producer(kafka)
    out.produce(topics.DEVICE_REGISTRY.name, key=device_key(TENANT, device), value=encode(record))
    assert out.flush(120) == 0


def publish_packs(kafka: str, packs: Iterable[Pack]) -> None:
    """Appends them in their order."""
    out = producer(kafka)
    for pack in packs:
        out.produce(topics.RAW.name, key=device_key(pack.tenant, pack.device), value=encode(pack))
    assert out.flush(120) == 0


@contextmanager
def reading(kafka: str, topic: topics.Topic) -> Iterator[Callable[[float], Message | None]]:
    """Asks for the next message of a topic, from its beginning on; None if none comes within the seconds given."""
    consumer = Consumer(
        {"bootstrap.servers": kafka, "group.id": f"tests-{random.random()}", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic.name])
    try:
        yield consumer.poll
    finally:
        consumer.close()


def rows_of(
    kafka: str, metric: str, enough: Callable[[list[Aggregate]], bool] = bool, seconds: float = 180
) -> list[Aggregate]:
    """The rows of a metric on processed-data from the first on, as soon as they are `enough`: by default one."""
    found: list[Aggregate] = []
    until = time.monotonic() + seconds
    with reading(kafka, topics.PROCESSED) as ask:
        while not enough(found) and time.monotonic() < until:
            message = ask(0.5)
            if message is not None and not message.error() and f'"{metric}"'.encode() in (message.value() or b""):
                found.append(decode(Aggregate, message.value()))
    assert enough(found), f"{len(found)} rows of {metric} within {seconds:.0f} s: {found[-3:]}"
    return found


def letters_of(kafka: str, job: str, wanted: int, seconds: float = 180) -> list[DeadLetter]:
    """The dead letters of functions in a job, as soon as they tell of `wanted` failures."""
    found: list[DeadLetter] = []
    told, until = 0, time.monotonic() + seconds
    with reading(kafka, topics.DEAD_LETTER) as ask:
        while told < wanted and time.monotonic() < until:
            message = ask(0.5)
            if message is not None and not message.error() and f'"{job}"'.encode() in (message.value() or b""):
                found.append(decode(DeadLetter, message.value()))
                told += json.loads(base64.b64decode(found[-1].payload))["failures"]
    assert told == wanted, f"{told} failures of {job} told within {seconds:.0f} s"
    return found


def alerts_of(kafka: str, rule: str, enough: Callable[[set[AlertEvent]], bool], seconds: float = 120) -> Any:
    """The events of a rule's alerts, a repeat once, as soon as they are enough, or all when the time is over."""
    found: set[AlertEvent] = set()
    until = time.monotonic() + seconds
    with reading(kafka, topics.ALERTS) as ask:
        while not enough(found) and time.monotonic() < until:
            message = ask(0.5)
            if message is not None and not message.error():
                event = decode(AlertEvent, message.value())
                assert message.key() == device_key(event.tenant, event.device)
                assert message.timestamp()[1] == event.log_time
                if event.rule == rule:
                    found.add(event)
    return found


def look_until(keeper: QueryKeeper, name: str, wanted: str, seconds: float = 120) -> deployed.Deployed:
    """Looks as the job keeper does until a query is in that state."""
    until = time.monotonic() + seconds
    while True:
        keeper.look()
        one = deployed.read(keeper.state, name)
        assert one is not None
        if one.state == wanted:
            return one
        assert time.monotonic() < until, one
        time.sleep(0.5)


@dataclass(frozen=True)
class Match:
    """What `rise-then-stall` finds."""

    device: str
    start: int
    event_time: int
    value: float
    level: float


def rises(device: str, readings: list[tuple[int, float]]) -> list[Match]:
    """The same, of readings in order, said in another way: the longest run up, then three within 0.25 of its top."""
    found, at = [], 0
    while at < len(readings):
        top = at
        while top + 1 < len(readings) and readings[top + 1][1] >= readings[top][1] + 0.5:
            top += 1
        level = readings[top][1]
        stall = [one for one in readings[top + 1 : top + 4] if abs(one[1] - level) <= 0.25]
        if top - at >= 5 and len(stall) == 3:
            found.append(Match(device, readings[at][0], stall[-1][0], stall[-1][1], level))
            at = top + 4
        else:
            at += 1
    return found


def in_order(packs: Iterable[Pack], metric: str) -> dict[str, list[tuple[int, float]]]:
    """Readings of each device in the order of the log, less those that are not newer than one before."""
    found: dict[str, list[tuple[int, float]]] = {}
    for pack in packs:
        held = found.setdefault(pack.device, [])
        newest = held[-1][0] if held else -1
        stamps = [pack.pane + at for at in pack.at]
        held += [(ts, value) for ts, value in zip(stamps, pack.metrics[metric], strict=True) if ts > newest]
    return found


def random_packs(seed: int, metric: str, devices: int, steps: int) -> list[Pack]:
    """A log of devices that rise, stall and fall, with packs that come again, late, or again with more in them."""
    rng = random.Random(seed)
    log: list[Pack] = []
    for number in range(devices):
        series, sent, at = _walk(rng, steps), [], 0
        while at < len(series):
            pane = pane_of(series[at][0])
            end = at + rng.randint(1, 5)
            some = series[max(0, at - rng.choice([0, 0, 0, 2])) : end]
            some = [one for one in some if pane_of(one[0]) == pane]
            stamps, values = [ts - pane for ts, _ in some], [value for _, value in some]
            sent.append(Pack(v=1, tenant=TENANT, device=f"d{number}", pane=pane, at=stamps, metrics={metric: values}))
            at = series.index(some[-1]) + 1
            if rng.random() < 0.15:
                sent.append(rng.choice(sent))
        for place in range(1, len(sent)):
            if rng.random() < 0.05:
                sent[place - 1], sent[place] = sent[place], sent[place - 1]
        log += sent
    return log


def _walk(rng: random.Random, steps: int) -> list[tuple[int, float]]:
    """Event times and values of one device."""
    ts, value, series = 1_790_000_000_000, 20.0, []
    while len(series) < steps:
        for step, low, high in ((1.0, 3, 8), (0.0, 1, 5), (-1.0, 0, 3)):
            for _ in range(rng.randint(low, high)):
                ts, value = ts + rng.randint(200, 3_000), value + step + rng.choice([0.0, 0.0, 0.125])
                series.append((ts, value))
    return series


def cancel_past_the_keeper(keeper: QueryKeeper, one: deployed.Deployed) -> None:
    keeper.cluster.cancel(one.runs[-1])
    until = time.monotonic() + 60
    while keeper.cluster.live(one.job):
        assert time.monotonic() < until
        time.sleep(0.2)


def promise_of(pattern: Pattern) -> dict:
    names = ("description", "owner", "grain", "severity", "clear_ms")
    rows = {"given": [{"device": "d", "metric": "level", "ts": 1, "value": 1}]}
    match = {"device": "d", "metric": "level", "start": 1, "event_time": 1}
    return {**{name: getattr(pattern, name) for name in names}, **rows, "expected": [match]}
