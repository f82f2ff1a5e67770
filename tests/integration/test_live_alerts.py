"""Alerts of the live stream against real servers: whole at first, then what changes, over restarts and repeats."""

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition

from connectors.sinks.active_alerts import ActiveAlertSink
from headwater.model.alert import AlertEvent
from headwater.model.codec import device_key, encode
from headwater.model.pack import PULSE_TENANT, Pack
from headwater.model.settings import SinkSettings
from headwater.model.topics import RAW
from tests.integration.alert_log import append, held
from tests.integration.api_server import Api, Live, Log, Stores, eventually, now_ms, row, served
from tests.integration.sinks import in_thread
from tests.unit.alert_stories import T0, active, replayed, story, tell


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    return tmp_path_factory.mktemp("live-alerts")


@pytest.fixture(scope="module")
def api(folder, kafka: str, log: Log, stores: Stores) -> Iterator[Api]:
    with served(folder, kafka, stores.postgres, stores.valkey) as running:
        yield running


class Told:
    """What a client knows of alerts from its frames alone."""

    def __init__(self, client: Live) -> None:
        self.client = client
        self.alerts: dict[str, dict] = {}
        self.counts: dict[str, int] = {}
        self.wholes = 0

    def hear(self) -> dict:
        frame = self.client.hear("alerts")
        if frame["whole"]:
            self.wholes += 1
            self.alerts = {}
        self.alerts |= {one["alert_id"]: one for one in frame["alerts"]}
        self.counts = frame["counts"]
        return frame

    def until(self, wanted: dict[str, dict]) -> None:
        while self.active != wanted:
            self.hear()
        assert sum(self.counts.values()) == len(wanted)

    @property
    def active(self) -> dict[str, dict]:
        return {alert: one for alert, one in self.alerts.items() if one["cleared"] is None}


@contextmanager
def sink(kafka: str, valkey: str) -> Iterator[None]:
    """The sink of active alerts, in a thread."""
    with in_thread(ActiveAlertSink, SinkSettings(_env_file=None, kafka=kafka, valkey=valkey)):
        yield


def one(tenant: str, device: str = "d", cleared: bool = True) -> list[AlertEvent]:
    return tell(random.Random(3), tenant, device, now_ms(), cleared)


def test_all_that_are_active_and_then_what_changes(api, kafka, tenant):
    log = story(1, (tenant,))
    half = len(log) // 2
    append(kafka, log[:half])
    with api.live() as client:
        told = Told(client.subscribe(tenant))
        first = told.hear()
        assert first["whole"] is True
        assert abs(first["sent"] - now_ms()) < 60_000
        told.until(active(log[:half], tenant))
        append(kafka, log[half:])
        told.until(active(log, tenant))
        assert told.wholes == 1
        seen = {alert for alert, each in told.alerts.items() if each["cleared"] is not None}
        assert seen, "what was cleared was told as well"


def test_a_subscription_of_devices_gets_the_alerts_of_the_whole_tenant_and_no_other(api, kafka, tenant):
    mine, other = one(tenant, "a", cleared=False), one(f"{tenant}-b", "a", cleared=False)
    with api.live() as client:
        told = Told(client.subscribe(tenant, ["somebody-else"]))
        assert told.hear()["alerts"] == []
        append(kafka, [*other, *mine])
        told.until(active(mine, tenant))
        again = Told(client.subscribe(f"{tenant}-b", ["nobody"]))
        again.until(active(other, f"{tenant}-b"))
        assert again.wholes == 1, "each subscribe is answered with the whole"


def test_what_comes_again_is_told_to_nobody(api, kafka, log, tenant):
    events = one(tenant, cleared=True)
    with api.live() as client:
        told = Told(client.subscribe(tenant))
        told.hear()
        append(kafka, events)
        while not any(each["cleared"] for each in told.alerts.values()):
            told.hear()
        append(kafka, events)
        append(kafka, last := one(tenant, "last", cleared=False))
        told.until(active(last, tenant))
        assert {each["device"] for each in told.alerts.values()} == {"d", "last"}
        frames = [frame for frame in client.frames if frame["type"] == "alerts" and not frame["whole"]]
        ends = [frame for frame in frames for each in frame["alerts"] if each["cleared"]]
        assert len(ends) == 1, "the repeat said nothing new"


def test_a_restart_of_the_api_goes_on_from_valkey_and_the_log(folder, kafka, log, stores, tenant):
    events = replayed(random.Random(4), story(4, (tenant,), alerts=200))
    half = len(events) // 2
    with sink(kafka, stores.valkey):
        append(kafka, events[:half])
        eventually(lambda: held(stores.client, tenant) == active(events[:half], tenant))
    # Nobody carries these into Valkey: they are on the log alone.
    append(kafka, events[half:])
    for _ in range(2):
        with served(folder, kafka, stores.postgres, stores.valkey) as fresh, fresh.live() as client:
            told = Told(client.subscribe(tenant))
            told.hear()
            assert told.active == active(events, tenant), "whole at once, and no ghost"


def test_without_valkey_the_alerts_come_from_the_log(folder, kafka, log, stores, tenant):
    events = story(5, (tenant,))
    append(kafka, events)
    with served(folder, kafka, stores.postgres, "redis://127.0.0.1:1/0", ready=False) as lonely:
        eventually(lambda: lonely.away().keys() == {"valkey"})
        with lonely.live() as client:
            told = Told(client.subscribe(tenant))
            told.until(active(events, tenant))


def test_a_client_that_takes_nothing_gets_the_newest_and_not_each_change(patient, kafka, tenant):
    # The client's library reads by itself, up to a bound; long names are more than that and the kernel take.
    with patient.live(max_queue=1, max_size=None) as slow, patient.live(max_size=None) as quick:
        slow.connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        lazy, eager = Told(slow.subscribe(tenant)), Told(quick.subscribe(tenant))
        eager.hear()
        everything: list[AlertEvent] = []
        for seed in range(15):
            part = story(seed, (tenant,), alerts=100, begin=T0 + seed * 1_000_000)
            part = [msgspec.structs.replace(event, metric="m" * 4_000) for event in part]
            append(kafka, part)
            everything += part
            eager.until(active(everything, tenant))
        lazy.until(active(everything, tenant))
        told, all_told = (
            sum(len(frame["alerts"]) for frame in client.frames if frame["type"] == "alerts")
            for client in (slow, quick)
        )
        assert told < all_told, "what changed meanwhile was told once"


def test_status_and_metrics_say_how_alerts_are(api, kafka, log, tenant):
    log.rows(row(tenant, "a"))
    before = metric(api, "headwater_api_alert_delay_seconds_count")
    events = [event for event in one(tenant, cleared=False) if event.happened == "raised"]
    append(kafka, events)
    with api.live() as client:
        Told(client.subscribe(tenant)).until(active(events, tenant))
    severity = events[0].severity
    eventually(lambda: metric(api, f'headwater_api_active_alerts{{severity="{severity}"}}') >= 1)
    assert metric(api, "headwater_api_alert_delay_seconds_count") == before + 1
    eventually(lambda: api.json("/v1/status")["lag"]["alerts"] == 0)


def test_status_says_how_far_the_alerting_job_is_behind(api, kafka, log):
    beat = Pack(v=1, tenant=PULSE_TENANT, device="x", pane=0, at=[0], metrics={"beat": [1.0]})
    for partition in range(4):
        for _ in range(3):
            log.producer.produce(RAW.name, encode(beat), device_key(beat.tenant, beat.device), partition)
    assert log.producer.flush(120) == 0
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "headwater-alerting"})
    places = [TopicPartition(RAW.name, partition) for partition in range(4)]
    ends = [consumer.get_watermark_offsets(place, timeout=30)[1] for place in places]
    behind = [TopicPartition(RAW.name, partition, end - 1) for partition, end in enumerate(ends)]
    consumer.commit(offsets=behind, asynchronous=False)
    consumer.close()
    eventually(lambda: api.json("/v1/status")["lag"]["alerting"] == 4)


def metric(api: Api, name: str) -> float:
    lines = [line for line in api.get("/metrics").text.splitlines() if line.startswith(f"{name} ")]
    return float(lines[0].split()[-1])
