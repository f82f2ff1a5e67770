"""Every pack comes out once with what the registry said of its device when it was appended: no more, no less."""

import json
import random
import uuid

import msgspec
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from headwater.model import topics
from headwater.model.codec import device_key
from headwater.model.device import DeviceRecord, MetricOfModel
from headwater.model.pack import PULSE_TENANT, Pack, pane_of
from jobs import enrichment
from jobs.environment import open_tables, options
from jobs.statements import Log
from tests.flink.harness import PARTITIONS, WAIT_S, Lab, wait_until

START = 1_760_000_000_000
PREFIX_TOPICS = (topics.RAW, topics.DEVICE_REGISTRY, topics.ENRICHED)
DEVICES = [f"d{number}" for number in range(12)]
SITES, MODELS = ("north", "south", None), ("boiler", "pump", None)

Entry = tuple[int, int, DeviceRecord | Pack]
"""Log time, partition, record."""


def version_of(rng: random.Random, device: str, version: int) -> DeviceRecord:
    deleted = rng.random() < 0.1
    site = None if deleted else rng.choice(SITES)
    model = None if deleted else rng.choice(MODELS)
    return DeviceRecord(
        v=1,
        tenant="t",
        device=device,
        version=version,
        changed_ms=START,
        deleted=deleted,
        kind="" if deleted else "sensor",
        site=site,
        zone=None if site is None else "Europe/Vienna",
        model=model,
        metrics={} if model is None else {"a": MetricOfModel(unit="bar", scale=rng.choice([1.0, 0.1]), low=0.0)},
        tags=[] if deleted else sorted(rng.sample(["hot", "old", "roof"], 2)),
    )


def history(seed: int, packs: int = 1_500) -> list[Entry]:
    """A log with edits, moves, deletions and republished versions between the packs; many records share a stamp."""
    rng = random.Random(seed)
    now, versions, log = START, dict.fromkeys(DEVICES, 0), []
    known: dict[str, DeviceRecord] = {}
    for _ in range(packs):
        now += rng.choice([0, 0, 1, 7, 40])
        device = rng.choice([*DEVICES, "never-registered"])
        partition = hash_of(device)
        if rng.random() < 0.15 and device in versions:
            if device in known and rng.random() < 0.4:
                log.append((now, partition, known[device]))  # published again, unchanged
            else:
                versions[device] += 1
                known[device] = version_of(rng, device, versions[device])
                log.append((now, partition, known[device]))
        log.append((now, partition, pack_of(device, now, rng.random())))
    return log


def pack_of(device: str, ts: int, value: float, tenant: str = "t") -> Pack:
    return Pack(
        v=1, tenant=tenant, device=device, pane=pane_of(ts), at=[ts - pane_of(ts)], metrics={"a": [value]}, received=ts
    )


def hash_of(device: str) -> int:
    return sum(device.encode()) % PARTITIONS


def expected(log: list[Entry]) -> list[tuple]:
    """What must come out, by the plain definition: the newest version whose log time is not after the pack's."""
    out = []
    for now, _, pack in log:
        if not isinstance(pack, Pack):
            continue
        versions = [(at, one) for at, _, one in log if isinstance(one, DeviceRecord) and one.device == pack.device]
        known = [one for at, one in versions if at <= now]
        out.append((pack.device, now, pack.metrics["a"][0], *said(known[-1] if known else None)))
    return sorted(out)


def said(known: DeviceRecord | None) -> tuple:
    if known is None:
        return (None, "-", "-", "-", "-")
    described = {name: one.scale for name, one in known.metrics.items()}
    return (known.version, str(known.site), str(known.model), str(known.tags), str(described))


def got(lab: Lab, prefix: str) -> list[tuple]:
    rows = []
    for message in lab.read(prefix + topics.ENRICHED.name):
        row = json.loads(message.value())
        assert message.key() == device_key(row["tenant"], row["device"])
        described = {name: one["scale"] for name, one in row.get("described", {}).items()}
        known = row.get("known_as")
        rest = (None, "-", "-", "-", "-")
        if known is not None:
            rest = (known, str(row.get("site")), str(row.get("model")), str(row["tags"]), str(described))
        rows.append((row["device"], message.timestamp()[1], row["metrics"]["a"][0], *rest))
    return sorted(rows)


def make_topics(lab: Lab) -> str:
    prefix = f"enriched-{uuid.uuid4().hex[:8]}-"
    # The tests stamp the records themselves: hours pass in seconds.
    config = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
    wanted = [NewTopic(prefix + topic.name, PARTITIONS, 1, config=config) for topic in PREFIX_TOPICS]
    admin = AdminClient({"bootstrap.servers": lab.bootstrap})
    for made in admin.create_topics(wanted).values():
        made.result(timeout=WAIT_S)
    return prefix


def append(lab: Lab, prefix: str, log: list[Entry], until: int) -> None:
    """The log in its order, and beats after it on every partition, which let the join go on."""
    producer = Producer({"bootstrap.servers": lab.bootstrap, "linger.ms": 5, "acks": "all"})
    for now, partition, record in log:
        topic = topics.RAW if isinstance(record, Pack) else topics.DEVICE_REGISTRY
        producer.produce(
            prefix + topic.name,
            key=device_key(record.tenant, record.device),
            value=msgspec.json.encode(record),
            partition=partition,
            timestamp=now,
        )
        producer.poll(0)
    for topic in (topics.RAW, topics.DEVICE_REGISTRY):
        for partition in range(PARTITIONS):
            value = msgspec.json.encode(pack_of("beat", until, 1.0, tenant=PULSE_TENANT))
            producer.produce(prefix + topic.name, value=value, partition=partition, timestamp=until)
    assert producer.flush(WAIT_S) == 0


def start(lab: Lab, prefix: str, bounded: bool = False):
    settings = lab.settings()
    target = {"execution.target": "remote", "rest.address": "127.0.0.1", "rest.port": lab.rest_port}
    tables = open_tables({**options(settings), **target, "pipeline.name": prefix})
    return enrichment.build(tables, settings, Log(prefix=prefix, bounded=bounded)).execute().get_job_client()


def test_rows_in_are_rows_out_with_the_version_of_their_log_time(lab: Lab):
    log, prefix = history(1), make_topics(lab)
    job = start(lab, prefix)
    half = len(log) // 2
    try:
        append(lab, prefix, log[:half], log[half][0])
        append(lab, prefix, log[half:], log[-1][0] + 60_000)
        wanted = expected(log)
        assert {one[3] for one in wanted} > {None, 1, 2}
        wait_until(lambda: len(lab.read(prefix + topics.ENRICHED.name)) >= len(wanted), "every pack came out")
        assert got(lab, prefix) == wanted
    finally:
        job.cancel().result()


def test_a_device_that_was_silent_for_a_day_still_has_its_site(lab: Lab):
    log, prefix = history(2, packs=200), make_topics(lab)
    later = log[-1][0] + 86_400_000
    device = next(one.device for _, _, one in log if isinstance(one, DeviceRecord))
    log.append((later, hash_of(device), pack_of(device, later, 7.0)))
    append(lab, prefix, log, later + 60_000)
    job = start(lab, prefix)
    try:
        wait_until(lambda: len(lab.read(prefix + topics.ENRICHED.name)) >= len(expected(log)), "every pack came out")
        assert got(lab, prefix) == expected(log)
    finally:
        job.cancel().result()


def test_beats_do_not_come_out(lab: Lab):
    prefix = make_topics(lab)
    append(lab, prefix, history(3, packs=50), START + 10_000_000)
    job = start(lab, prefix)
    try:
        wait_until(lambda: len(lab.read(prefix + topics.ENRICHED.name)) >= 50, "every pack came out")
        assert all(PULSE_TENANT.encode() not in message.value() for message in lab.read(prefix + topics.ENRICHED.name))
    finally:
        job.cancel().result()
