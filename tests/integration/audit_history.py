"""One log with the stores that took it in: what the tests of the audit take away from, and add to."""

import json
import uuid
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.sinks.clickhouse import ClickHouseSink, Record, Records
from connectors.sinks.postgres import PostgresSink
from headwater.cli.audit import as_dict, keep
from headwater.model.codec import decode, device_key, encode
from headwater.model.errors import BadRecord
from headwater.model.message import HEADER, mark, message_id
from headwater.model.pack import PULSE_TENANT, Pack
from headwater.model.settings import SinkSettings
from headwater.model.stores import PLACE_POSITIONS
from headwater.model.topics import CORRECTIONS, DEAD_LETTER, PROCESSED, RAW
from headwater.raw.client import connect_to
from headwater.truth import reference
from headwater.truth.audit import Audit, Wanted
from headwater.truth.logs import START_MS, LogShape, pulses, random_log
from headwater.truth.reference import Reference
from headwater.truth.registries import Said, registry_of
from headwater.truth.report import Report
from headwater.truth.span import Entry, Reader
from headwater.truth.stores import RawRows, Rows
from tests.integration.raw_sinks import fresh_store
from tests.integration.raw_store import say
from tests.integration.sinks import fresh_database
from tests.integration.stores.postgres import PostgresStore

PARTITIONS = 2
SHAPE = LogShape(devices=5, seconds=90, partitions=PARTITIONS, tenant="t1")
END_MS = START_MS + 3_600_000
FEW_RECORDS = 20
"""A share for each device, or nearly."""
WANTED = Wanted(SHAPE.horizon_ms, ahead_ms=20_000, cap=SHAPE.cap, wait_s=5, settle_ms=0)


@dataclass
class History:
    """One log, with the stores that took it in."""

    kafka: str
    prefix: str
    database: PostgresStore
    raw_url: str

    def append(self, entries: list[tuple[int, int, bytes, bytes, list[tuple[str, bytes]]]], topic: str) -> None:
        """(partition, log time, key, value, headers) in their order."""
        producer = Producer({"bootstrap.servers": self.kafka, "acks": "all"})
        for partition, log_time, key, value, headers in entries:
            producer.produce(self.prefix + topic, value, key, partition, timestamp=log_time, headers=headers)
        assert producer.flush(120) == 0

    def store(self, horizon_ms: int = 10**12, said: list[Said] | None = None) -> None:
        """What sinks and workers make of the log as it is now: rows and readings, and how far they are."""
        with Reader(self.kafka) as reader:
            span = reader.span(self.prefix + RAW.name)
            entries = list(reader.read(span))
        folded = Reference(horizon_ms, registry=registry_of(said or ()))
        for entry in entries:
            pack = plain(entry)
            if pack is not None:
                folded.take(reference.Record(pack, entry.partition, entry.offset, entry.log_time))
        rows = PostgresSink(self.database.settings)
        rows.positions()
        batch = rows.pending
        for row in folded.rows().values():
            batch.add(row)
        batch.beats = {(self.prefix + RAW.name, partition): END_MS for partition in range(PARTITIONS)}
        rows.store(batch)
        rows.disconnect()
        raw = ClickHouseSink(SinkSettings(clickhouse=self.raw_url, keep_raw_days=3_000, pack_cap=SHAPE.cap))
        raw.log_id = span.log_id
        raw.positions()
        raw.store(Records([Record(e.partition, e.offset, e.log_time, e.value) for e in entries], dict(span.end)))
        raw.disconnect()
        client = connect_to(self.raw_url)
        say(client, said or ())
        known = [["registry", partition, 1, END_MS] for partition in range(PARTITIONS)]
        client.insert(PLACE_POSITIONS, known, column_names=["log_id", "log_partition", "next_offset", "log_time"])
        client.close()

    def audit(self, **given: Any) -> Report:
        """All devices at once; share by share nothing else may come out."""
        client = connect_to(self.raw_url)
        wanted = replace(WANTED, **{"from_ms": START_MS - 1, "prefix": self.prefix, **given})
        with Reader(self.kafka) as reader, psycopg.connect(self.database.url, autocommit=True) as connection:
            rows, raw = Rows(connection), RawRows(client)
            report = Audit(reader, rows, raw, wanted).run()
            keep(connection, report)
            by_share = Audit(reader, rows, raw, wanted, FEW_RECORDS).run()
        client.close()
        assert told(by_share) == told(report)
        return report

    def raw_command(self, command: str) -> None:
        client = connect_to(self.raw_url)
        client.command(command)
        client.close()


def told(report: Report) -> dict[str, Any]:
    """The report as scripts get it, in no order of gaps and without the time that it took."""
    plain = as_dict(report)
    gaps = sorted(json.dumps(gap) for gap in plain["gaps"])
    return plain | {"gaps": gaps, "seconds": 0}


def plain(entry: Entry) -> Pack | None:
    """The pack of a record that counts; None for beats and what breaks the form."""
    try:
        pack = decode(Pack, entry.value)
    except BadRecord:
        return None
    return None if pack.tenant == PULSE_TENANT or pack.at != sorted(set(pack.at)) else pack


def marked(number: int, index: int = 0, count: int = 1) -> list[tuple[str, bytes]]:
    return [(HEADER, mark(message_id("v1/t1/d/telemetry", b"%d" % number), index, count))]


def beat(log_time: int) -> list[tuple[int, int, bytes, bytes, list[tuple[str, bytes]]]]:
    beats = [pack for _, _, pack in pulses(replace(SHAPE, seconds=1))]
    return [(number, log_time, device_key(one.tenant, one.device), encode(one), []) for number, one in enumerate(beats)]


def new_history(kafka: str, postgres: str, clickhouse: str) -> History:
    """Topics and stores of its own, with nothing in them."""
    prefix = f"{uuid.uuid4().hex[:8]}-"
    wanted = [
        NewTopic(prefix + topic.name, 1 if topic is DEAD_LETTER else PARTITIONS, 1, config={"retention.ms": "-1"})
        for topic in (RAW, PROCESSED, CORRECTIONS, DEAD_LETTER)
    ]
    admin = AdminClient({"bootstrap.servers": kafka})
    for future in admin.create_topics(wanted).values():
        future.result(30)
    return History(kafka, prefix, PostgresStore(fresh_database(postgres)), fresh_store(clickhouse).url)


def filled(empty: History) -> History:
    """A random log with every trap, pulses, a header on each record, taken in by both stores."""
    entries = []
    for number, (pack, partition, _, log_time) in enumerate(random_log(7, SHAPE)):
        headers = [] if pack.tenant == PULSE_TENANT else marked(number)
        entries.append((partition, log_time, device_key(pack.tenant, pack.device), encode(pack), headers))
    empty.append(entries + beat(END_MS), RAW.name)
    empty.store()
    return empty
