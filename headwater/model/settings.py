"""Every setting, one class a process. Environment (`HEADWATER_…`) beats `run.env` of the stack beats the default here.

`docs/settings.md` lists them all; a test compares it with this file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from headwater.model.pack import PANE_MS

MINUTE_MS = 60_000


def project_folder() -> Path:
    """The checkout that this code runs from, or the working directory where it was installed as a wheel."""
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()


def state_folder() -> Path:
    """Where the one-machine stack keeps data, secrets, logs and `run.env` (`HEADWATER_STATE`)."""
    return Path(os.environ.get("HEADWATER_STATE") or project_folder() / ".headwater").resolve()


class Settings(BaseSettings):
    """What every process shares: where the servers are, and the constants of the laws of time."""

    model_config = SettingsConfigDict(env_prefix="HEADWATER_", extra="ignore")

    def __init__(self, **given: Any) -> None:
        given.setdefault("_env_file", state_folder() / "run.env")
        super().__init__(**given)

    kafka: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers, host:port[,host:port]")
    postgres: SecretStr = Field(
        SecretStr("postgresql://headwater@127.0.0.1:5432/headwater"), description="PostgreSQL or TimescaleDB, as a URL"
    )
    clickhouse: SecretStr = Field(
        SecretStr("http://headwater@127.0.0.1:8123/headwater"), description="ClickHouse over HTTP, as a URL"
    )
    valkey: SecretStr = Field(SecretStr("redis://127.0.0.1:6379/0"), description="Valkey or Redis, as a URL")
    mqtt: str = Field("mqtt://127.0.0.1:1883", description="the MQTT broker, as a URL without credentials")
    flink: str = Field("http://127.0.0.1:8081", description="REST address of the Flink cluster")
    api: str = Field("http://127.0.0.1:8000", description="address of the API and the page")
    host: str = Field("127.0.0.1", description="the address that our own servers listen on")
    log_format: str = Field("json", description="json or console")
    low_disk_mb: int = Field(
        600,
        ge=0,
        description="room on the disk of the state folder (MB) below which doors refuse; they take again when a "
        "quarter more is free",
    )
    partitions: int = Field(
        4, ge=1, le=1024, description="partitions of the topics keyed by device; never change it later"
    )
    horizon_ms: int = Field(
        5 * MINUTE_MS, ge=0, description="how long after its end a pane is still amended by the aggregation job"
    )
    ahead_ms: int = Field(
        5 * MINUTE_MS, ge=0, description="how far ahead of its arrival a reading may be stamped; more is refused"
    )
    pack_cap: int = Field(
        32,
        ge=2,
        le=64,
        description="most stamps in a pack; the array sums of the aggregation job are generated from it",
    )


class LogSettings(Settings):
    """How much of the log is kept: what is past either limit goes, read or not."""

    keep_raw_log_mb: int = Field(1_500, ge=32, description="most MB of `raw-sensor-data`, all partitions together")
    keep_raw_log_hours: int = Field(168, ge=1, description="most hours of `raw-sensor-data`")
    keep_processed_log_mb: int = Field(800, ge=32, description="most MB of `processed-data`")
    keep_processed_log_hours: int = Field(48, ge=1, description="most hours of `processed-data`")
    keep_registry_log_mb: int = Field(
        200,
        ge=32,
        description="most MB of `device-registry`; beats alone take 8 an hour, and it must be kept for as long as "
        "`raw-sensor-data` is, or a replay of what is older finds no sites and models",
    )
    keep_registry_log_hours: int = Field(168, ge=1, description="most hours of `device-registry`")
    keep_rules_log_mb: int = Field(
        200,
        ge=32,
        description="most MB of `alert-rules`; beats alone take 8 an hour, and it must be kept for as long as "
        "`raw-sensor-data` is, or a replay of what is older finds no rules",
    )
    keep_rules_log_hours: int = Field(168, ge=1, description="most hours of `alert-rules`")
    keep_other_log_mb: int = Field(64, ge=32, description="most MB of each of the other topics")
    keep_other_log_hours: int = Field(720, ge=1, description="most hours of each of the other topics")


class DoorSettings(Settings):
    """Limits of every door, and the bridge's own session."""

    oldest_ms: int = Field(24 * 60 * MINUTE_MS, ge=0, description="readings stamped longer ago are refused")
    max_bytes: int = Field(262_144, ge=1, description="most bytes of a message")
    max_readings: int = Field(10_000, ge=1, description="most readings (values) of a message")
    max_metrics: int = Field(256, ge=1, description="most metrics of a message")
    max_text: int = Field(1_024, ge=1, description="most characters of a text reading")
    bridge_user: str = Field("_bridge", description="the bridge's MQTT user")
    bridge_password: SecretStr = Field(SecretStr(""), description="the bridge's MQTT password")
    bridge_session: str = Field("headwater-bridge", description="client id of the bridge's persistent session")
    bridge_filter: str = Field(
        "v1/+/+/telemetry",
        description="the readings that the bridge subscribes to, with the attributes of the same devices; scale out by "
        "tenant prefix",
    )
    door_linger_ms: int = Field(
        5,
        ge=0,
        le=1_000,
        description="how long a door waits for records to write together: more is less work for Kafka and its readers, "
        "and readings come so much later",
    )
    bridge_receive_max: int = Field(
        2_000, ge=1, le=65_535, description="unacknowledged messages in flight: the back-pressure"
    )
    bridge_metrics_port: int = Field(0, ge=0, description="Prometheus metrics of the bridge; 0 means none")


class BrokerSettings(Settings):
    """The MQTT broker process."""

    broker_port: int = Field(1883, ge=1, description="MQTT port")
    broker_heap_mb: int = Field(256, ge=128, description="heap of the broker's JVM in MB")
    broker_queue_limit: int = Field(
        100_000, ge=1, description="messages waiting for the bridge above which publishers are refused"
    )
    broker_bridge_away_ms: int = Field(
        10 * MINUTE_MS, ge=1_000, description="how long the bridge may be away before publishers are refused"
    )
    unknown_devices: Literal["refuse", "claim"] = Field(
        "refuse",
        description="what becomes of devices that nobody has registered: refused, or registered when they come with a "
        "provisioning key of a model (docs/registry.md)",
    )
    broker_metrics_port: int = Field(0, ge=0, description="Prometheus metrics of the broker; 0 means none")
    bridge_user: str = Field("_bridge", description="the bridge's MQTT user")
    bridge_password: SecretStr = Field(SecretStr(""), description="the bridge's MQTT password")
    bridge_session: str = Field("headwater-bridge", description="client id of the bridge's persistent session")


class JobSettings(Settings):
    """The Flink jobs: what the plan is generated from, and how long state lives."""

    parallelism: int = Field(2, ge=1, description="parallelism of the jobs; at most the number of partitions")
    outage_ms: int = Field(
        15 * MINUTE_MS, ge=0, description="longest outage of a job that is survived without a rebuild"
    )
    mini_batch_ms: int = Field(200, ge=10, le=5_000, description="how often partial rows are published")
    generation: int = Field(1, ge=1, description="generation of the rows; raised when a changed query is rebuilt")
    checkpoint_s: int = Field(
        10,
        ge=1,
        le=600,
        description="how often Flink saves the state of the jobs; 30 for thousands of devices on one machine",
    )
    rules_delay_ms: int = Field(
        500, ge=1, le=60_000, description="how long after its log time a version of a rule begins to count"
    )

    @property
    def state_ttl_ms(self) -> int:
        """How long the state of a pane lives after its last write (wall clock).

        A reading may come `ahead_ms` before its pane starts and the next one up to `horizon_ms` after the pane's end.
        """
        return self.ahead_ms + PANE_MS + self.horizon_ms + self.outage_ms


class SqlGatewaySettings(Settings):
    """Analysts' SQL."""

    sql_gateway: Literal["on-demand", "always"] = Field(
        "on-demand", description="when the SQL Gateway runs: from the first `headwater sql` on, or always"
    )


class PulseSettings(Settings):
    """The beats that move log time."""

    pulse_ms: int = Field(250, ge=20, description="how often every partition of the first-append topics gets a beat")


class SinkSettings(Settings):
    """The ways into the stores."""

    sink_coalesce_ms: int = Field(
        3_000, ge=0, description="a row of an open pane reaches PostgreSQL at most once in this time"
    )
    sink_rollup_ms: int = Field(5_000, ge=100, description="how often changed rows are rolled up to 1 min, 1 h and 1 d")
    keep_10s_days: int = Field(
        2,
        ge=1,
        description="days that 10 s rows are kept in PostgreSQL; a day more than `HEADWATER_OLDEST_MS`, or the rows "
        "of late readings are refused",
    )
    keep_1m_days: int = Field(3, ge=1, description="days that 1 min rows are kept")
    keep_1h_days: int = Field(90, ge=1, description="days that 1 h rows are kept")
    keep_1d_days: int = Field(1_825, ge=1, description="days that 1 d rows are kept")
    keep_raw_days: int = Field(
        2,
        ge=1,
        description="days (of event time) that raw readings are kept in ClickHouse; readings that come later than that "
        "cannot be corrected",
    )
    keep_events_days: int = Field(30, ge=1, description="days that events of devices are kept in PostgreSQL")
    keep_alerts_days: int = Field(
        90, ge=1, description="days that a cleared alert is kept in PostgreSQL after it last changed"
    )
    keep_events_each: int = Field(
        1_000, ge=1, description="most events of each device that are kept in PostgreSQL, trimmed each hour"
    )


class CorrectionsSettings(Settings):
    """The worker that recomputes closed panes, for late readings and at the audit."""

    corrections_held: int = Field(
        50_000, ge=1, description="corrections held in memory at once; the rest waits on its topic"
    )
    corrections_rows: int = Field(
        20_000, ge=1, description="most rows that are recomputed by one read of the raw store"
    )
    corrections_linger_ms: int = Field(
        500, ge=0, description="how long corrections are gathered, so that a device's panes are read together"
    )
    corrections_metrics_port: int = Field(
        0, ge=0, description="Prometheus metrics of the corrections worker; 0 means none"
    )
    audit_slack_ms: int = Field(
        20_000,
        ge=0,
        description="how long after its close (in log time) a minute is audited: time for its last rows to reach "
        "PostgreSQL",
    )
    generation: int = Field(1, ge=1, description="generation of the rows; raised when a changed query is rebuilt")


class RegistrySettings(Settings):
    """The worker that publishes the outbox."""

    registry_republish_ms: int = Field(
        5 * MINUTE_MS,
        ge=1_000,
        description="how often unchanged devices and rules are published again; well within the life of "
        "the jobs' state (`HEADWATER_OUTAGE_MS` and more)",
    )
    keep_versions_each: int = Field(
        1_000, ge=1, description="most versions of each device that are kept in PostgreSQL, trimmed each hour"
    )


class ClickHouseSettings(Settings):
    """The embedded ClickHouse."""

    clickhouse_memory_mb: int = Field(
        1_024,
        ge=256,
        description="most memory of the embedded ClickHouse in MB; a statement gets at most half",
    )


class ApiSettings(Settings):
    """The API process."""

    access_key: SecretStr = Field(SecretStr(""), description="the key that API and page ask for; made at first start")
    unknown_devices: Literal["refuse", "claim"] = Field(
        "refuse",
        description="what becomes of devices that nobody has registered: refused, or registered when they come with a "
        "provisioning key of a model (docs/registry.md)",
    )
    api_port: int = Field(8000, ge=1, description="port of the API and the page")
    tick_ms: int = Field(250, ge=20, description="how often live frames are sent")
    live_rows: int = Field(200_000, ge=100, description="rows kept in memory so that a reconnect resumes without a gap")
    max_points: int = Field(2_000, ge=10, description="most points that a series answers with")
    page: Path = Field(Path("dashboard/dist"), description="folder of the built page, relative to the project")
    keep_10s_days: int = Field(2, ge=1, description="days that 10 s rows are kept: older spans get a coarser level")
    keep_1m_days: int = Field(3, ge=1, description="days that 1 min rows are kept: older spans get a coarser level")


class AgentSettings(Settings):
    """This machine as a device."""

    agent_tenant: str = Field("demo", description="tenant of this machine's own readings")
    agent_device: str = Field("this-machine", description="device name of this machine")
    agent_token: SecretStr = Field(SecretStr(""), description="token of this machine")
    agent_every_ms: int = Field(1_000, ge=50, description="how often this machine is measured")


class FleetSettings(Settings):
    """The simulated fleet."""

    fleet_tenant: str = Field("demo", description="tenant of the simulated fleet")
    fleet_devices: int = Field(200, ge=0, le=20_000, description="simulated devices; 0 for none")
    fleet_seed: int = Field(7, description="makes the fleet repeatable")
    fleet_every_ms: int = Field(1_000, ge=20, description="how often each simulated device measures")
    fleet_pack: int = Field(1, ge=1, le=1_000, description="measurements that a simulated device sends in one message")
    fleet_whole: bool = Field(
        False,
        description="messages begin at multiples of their span and are sent later, each device after its own time",
    )
    fleet_connects: int = Field(200, ge=1, description="simulated devices that connect in a second, at the start")
    fleet_metrics: int = Field(5, ge=1, le=5, description="most metrics of a simulated device; its kind may have fewer")
    fleet_token: SecretStr = Field(SecretStr(""), description="secret from which the fleet's tokens are derived")
