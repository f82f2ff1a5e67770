"""A range of the log saved into a file and loaded again, by the command, on a real Kafka."""

import uuid

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from headwater.cli.main import app
from headwater.model.codec import device_key, encode
from headwater.model.topics import RAW
from headwater.truth.logs import LogShape, random_log
from headwater.truth.span import Reader
from tests.integration.sinks import create_topics

SHAPE = LogShape(devices=4, seconds=30, partitions=4)


@pytest.fixture
def environment(kafka, monkeypatch):
    monkeypatch.setenv("HEADWATER_KAFKA", kafka)
    create_topics(kafka, [RAW.name])
    return kafka


def command(*words):
    return CliRunner().invoke(app, ["log", *map(str, words)])


def produce(kafka, tenant):
    """A random log with pulses, a header on each record, stamped with its log time."""
    producer = Producer({"bootstrap.servers": kafka, "acks": "all"})
    for record in random_log(1, LogShape(**{**SHAPE.__dict__, "tenant": tenant})):
        pack = record.pack
        key = device_key(pack.tenant, pack.device)
        header = [("m", b"0123")]
        producer.produce(RAW.name, encode(pack), key, record.partition, timestamp=record.log_time, headers=header)
    assert producer.flush(120) == 0


def plain(entries, tenant):
    """All of a tenant, without the offsets, which a filter changes; by partition."""
    kept = [entry for entry in entries if (entry.key or b"").startswith(f"{tenant}/".encode())]
    return [[entry._replace(offset=0) for entry in kept if entry.partition == number] for number in range(4)]


def test_a_log_that_was_saved_and_loaded_is_the_same_record_by_record(environment, tmp_path):
    tenant, into, file = uuid.uuid4().hex, f"{uuid.uuid4().hex}-", tmp_path / "log.gz"
    produce(environment, tenant)
    assert command("save", file, "--tenant", tenant).exit_code == 0
    assert command("load", file, "--into", into).exit_code == 0
    with Reader(environment) as reader:
        before = list(reader.read(reader.span(RAW.name)))
        after = list(reader.read(reader.span(into + RAW.name)))
    assert plain(after, tenant) == plain(before, tenant)
    assert sum(map(len, plain(after, tenant))) > 50
    assert {entry.key.partition(b"/")[0].decode() for entry in after} <= {tenant, "_pulse"}
    assert all(entry.headers == (("m", b"0123"),) for entry in after if entry.key.startswith(tenant.encode()))


def test_a_range_is_cut_by_log_time(environment):
    tenant = uuid.uuid4().hex
    produce(environment, tenant)
    with Reader(environment) as reader:
        times = sorted({entry.log_time for part in plain(reader.read(reader.span(RAW.name)), tenant) for entry in part})
        middle = times[len(times) // 2]
        whole, later = reader.span(RAW.name), reader.span(RAW.name, middle)
        earlier = reader.span(RAW.name, None, middle)
    assert earlier.end == later.first
    assert (whole.first, whole.end) == (earlier.first, later.end)
    assert earlier.records + later.records == whole.records


def test_a_log_is_never_loaded_onto_a_topic_that_is_there(environment, tmp_path):
    tenant, into, file = uuid.uuid4().hex, f"{uuid.uuid4().hex}-", tmp_path / "log.gz"
    produce(environment, tenant)
    assert command("save", file, "--tenant", tenant).exit_code == 0
    assert command("load", file, "--into", into).exit_code == 0
    again = command("load", file, "--into", into)
    assert again.exit_code == 1
    assert "is there already" in again.output


def test_a_file_that_is_no_log_is_refused_in_one_line(environment, tmp_path):
    file = tmp_path / "text"
    file.write_text("no log")
    refused = command("load", file, "--into", "never-")
    assert refused.exit_code == 1
    assert "expected a" in refused.output
    assert "Traceback" not in refused.output
