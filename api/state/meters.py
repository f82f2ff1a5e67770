"""What this process counts of itself, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Meters:
    """One registry a process (not the library's global one, so that two apps in one test do not meet)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._of_kind: dict[str, Counter] = {}
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Counter(
            "headwater_api_requests", "REST requests", ["method", "route", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "headwater_api_request_seconds", "Time to answer", ["route"], buckets=_SECONDS, registry=self.registry
        )
        self.clients = Gauge("headwater_api_live_clients", "Live clients connected", registry=self.registry)
        self.frames = Counter("headwater_api_live_frames", "Frames sent", ["type"], registry=self.registry)
        self.sent_bytes = Counter("headwater_api_live_sent_bytes", "Bytes of frames sent", registry=self.registry)
        self.evicted = Counter(
            "headwater_api_live_evicted", "Live clients closed for taking nothing", registry=self.registry
        )
        self.rows = Counter("headwater_api_rows", "Rows that were new, from the log", registry=self.registry)
        self.remembered = Gauge("headwater_api_live_remembered_rows", "Changes in memory", registry=self.registry)
        self.readings = Gauge("headwater_api_readings_per_second", "Readings a second", registry=self.registry)
        self.delay = Histogram(
            "headwater_api_delay_seconds",
            "From a door's receipt to the frame, of a sample of the rows",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.active_alerts = Gauge(
            "headwater_api_active_alerts",
            "Alerts that are active, of all tenants",
            ["severity"],
            registry=self.registry,
        )
        self.alert_delay = Histogram(
            "headwater_api_alert_delay_seconds",
            "From a door's receipt of the reading that raised an alert to the frame that tells of it",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.lag = Gauge("headwater_api_lag_records", "Records behind", ["reader"], registry=self.registry)
        self.dead_letters = Gauge(
            "headwater_api_dead_letters", "Dead letters on the topic", ["reason"], registry=self.registry
        )
        self.repairs = Gauge(
            "headwater_api_repairs",
            "Rows that differed from their readings at the audit, by cause; 0 in a healthy run",
            ["cause"],
            registry=self.registry,
        )
        self.disk_free = Gauge(
            "headwater_api_disk_free_megabytes", "Room on the disk of the state folder", registry=self.registry
        )
        self.unreadable = Gauge(
            "headwater_api_unreadable_records", "Records of processed-data that were no rows", registry=self.registry
        )

    def sent(self, kind: str, size: int) -> None:
        """Notes a frame of `size` bytes that a client has taken."""
        counter = self._of_kind.get(kind)
        if counter is None:
            counter = self._of_kind[kind] = self.frames.labels(kind)
        counter.inc()
        self.sent_bytes.inc(size)

    def text(self) -> bytes:
        """Everything in Prometheus' own text form."""
        return generate_latest(self.registry)
