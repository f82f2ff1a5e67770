"""The only place where a table or a key of a store is named: sinks write here, the API reads here."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.model.pack import PANE_MS


@dataclass(frozen=True)
class Level:
    """One width of aggregate. `view` is what readers ask; `table` is what the sink writes (PostgreSQL)."""

    name: str
    width_ms: int
    table: str
    view: str


LEVELS = (
    Level("10s", PANE_MS, "aggregate_10s", "series_10s"),
    Level("1m", 60_000, "rollup_1m", "series_1m"),
    Level("1h", 3_600_000, "rollup_1h", "series_1h"),
    Level("1d", 86_400_000, "rollup_1d", "series_1d"),
)

LEVEL = {level.name: level for level in LEVELS}

SINK_OFFSETS = "sink_offset"
LOG_TIMES = "log_time"
DEVICES = "device"
DEVICE_VERSIONS = "device_version"
"""PostgreSQL: the newest versions of every device, written with its record for the log."""
MODELS = "model"
TENANTS = "tenant"
OUTBOX = "outbox"
"""PostgreSQL: records that wait for Kafka, written in the transaction of the change that they tell of."""
RULES = "rule"
"""PostgreSQL: every version of every rule."""
RULES_NEWEST = "rule_newest"
"""PostgreSQL: the newest version of each rule, also where it says that the rule is deleted."""
PANE_AUDIT = "pane_audit"
"""PostgreSQL: the minutes of event time whose panes were compared with the raw store, and what differed by cause."""
AUDIT_RESULT = "audit_result"
"""What each `headwater audit` found, newest last."""
AUDIT_CAUSES = ("missing", "fewer", "more", "changed", "unfounded")
"""Columns of `pane_audit`: why a row differs from its readings."""
PANE_REPAIRS = "pane_repair"
"""PostgreSQL: every row that the audit has published anew, with the generation that it gave it."""

ALERTS = "alert"
"""PostgreSQL: every episode of an alert, as its events leave it."""
ALERT_EVENTS = "alert_event"
"""PostgreSQL: what has happened to alerts, one row an event."""
ALERTS_ACKNOWLEDGED = "alert_acknowledged"
"""PostgreSQL: who has seen which alert."""
DEVICE_EVENTS = "device_event"
"""PostgreSQL: what has happened to devices, one row an event."""
DEVICE_PRESENCE = "device_presence"
"""PostgreSQL, a view: whether each device is connected, since when, and if not, why."""
DEPLOYED_QUERIES = "deployed_query"
"""PostgreSQL: the metrics and patterns that analysts have deployed, and how they are. Rows of such metrics have no
readings of their own."""
JOB_STATES = "job_state"
"""PostgreSQL: how each job is, one row a job."""

READINGS = "reading"
"""ClickHouse: one row a reading, folded by identity; the first in the log stays."""
RAW_POSITIONS = "raw_position"
"""ClickHouse: up to which offset and log time of each partition the readings are stored."""
RAW_EDGE = "raw_edge"
"""ClickHouse: event time (epoch ms) before which retention has removed readings."""
RAW_RECORDS = "raw_record"
"""ClickHouse: takes the bytes of records in, and passes them on to `READINGS` and `RAW_REFUSED`."""
RAW_REFUSED = "raw_refused"
"""ClickHouse: records whose readings are not stored, and why."""
DEVICE_PLACES = "device_place"
"""ClickHouse: the site and the model of each device, and the log time from which on it was so."""
PLACE_POSITIONS = "place_position"
"""ClickHouse: up to which offset and log time of each partition of the registry that is known."""
RAW_LOGS = "raw_log"
"""ClickHouse: the logs (Kafka topic ids) that were read, numbered in their order."""


def latest_key(tenant: str, device: str) -> str:
    """Valkey hash: metric -> the newest Aggregate as JSON. The tag in braces keeps a device on one cluster slot."""
    return f"latest:{{{tenant}/{device}}}"


def devices_key(tenant: str) -> str:
    """Valkey set of the devices of a tenant that have a latest value."""
    return f"devices:{{{tenant}}}"


def active_alerts_key(tenant: str) -> str:
    """Valkey hash: alert id -> the active Episode as JSON."""
    return f"active-alerts:{{{tenant}}}"


def cleared_alerts_key(tenant: str) -> str:
    """Valkey sorted set: ids of alerts that were cleared, by when that was written (epoch ms). They stay cleared."""
    return f"cleared-alerts:{{{tenant}}}"


ALERTS_FILLED_KEY = "active-alerts-filled"
"""Valkey: there once the store holds what the log says; gone if it came back empty."""

LOG_TIME_KEY = "log-time"
"""Valkey hash: raw partition -> largest log time (epoch ms) that came through the aggregation job."""
