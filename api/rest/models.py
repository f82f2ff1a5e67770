"""What the REST calls answer, for the OpenAPI description. Times are UTC epoch milliseconds."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.rest.device_models import example


class SeriesColumns(BaseModel):
    """The same number of values in each, ascending in `t`, which is where a bucket starts."""

    t: list[int]
    count: list[int]
    sum: list[float | None]
    min: list[float | None]
    max: list[float | None]
    mean: list[float | None]
    std: list[float | None]
    last: list[float | None]


class Series(BaseModel):
    """One metric of one device, site or model over a span, as columns; buckets without readings are left out."""

    model_config = example(
        tenant="demo",
        device="sim-0001",
        metric="temperature",
        level="10s",
        final_before=1795601100000,
        columns={
            "t": [1795601400000, 1795601410000],
            "count": [10, 3],
            "sum": [212.0, 63.9],
            "min": [21.0, 21.2],
            "max": [21.4, 21.4],
            "mean": [21.2, 21.3],
            "std": [0.11, 0.08],
            "last": [21.2, 21.4],
        },
        **{"from": 1795600500000, "to": 1795601413000},
    )

    tenant: str
    device: str = Field(description="the device; _site/ and the name of a site; _model/ and that of a model")
    metric: str
    level: str
    from_: int = Field(alias="from")
    to: int
    final_before: int | None = Field(
        description="10 s panes that start at or before this are final for the live path; null while not known"
    )
    columns: SeriesColumns


class ReadingColumns(BaseModel):
    """The same number of values in each, ascending in `t`, which is the event time."""

    t: list[int]
    kind: list[str] = Field(description="number, text or flag; a metric may have several at one time")
    value: list[float | str | bool]
    log_time: list[int] = Field(description="when Kafka appended the record that brought it")
    received: list[int] = Field(description="when a door received it")


class Readings(BaseModel):
    """Raw readings of one metric of one device, each once: of copies, the first in the log."""

    model_config = example(
        tenant="demo",
        device="sim-0001",
        metric="temperature",
        columns={
            "t": [1795601400000, 1795601401000],
            "kind": ["number", "number"],
            "value": [21.2, 21.3],
            "log_time": [1795601400080, 1795601401090],
            "received": [1795601400060, 1795601401060],
        },
        next="MTc5NTYwMTQwMjAwMC4w",
        **{"from": 1795600500000, "to": 1795601413000},
    )

    tenant: str
    device: str
    metric: str
    from_: int = Field(alias="from")
    to: int
    columns: ReadingColumns
    next: str | None = Field(description="send as `cursor`, with the same span, for the next readings; null at the end")


class StatusDelay(BaseModel):
    """Milliseconds from a door's receipt to the frame."""

    p50: int | None
    p99: int | None


class StatusDisk(BaseModel):
    """Room on the disk of the state folder."""

    free_mb: int
    mark_mb: int = Field(description="below it devices are refused, until a quarter more is free")
    low: bool = Field(description="true while devices are refused for that")


class StatusBalance(BaseModel):
    """What the newest `headwater audit` found; times in UTC epoch ms."""

    state: str = Field(description="balanced, gap, or waiting (a store was behind)")
    finished: int
    from_ms: int = Field(description="log time from which records were audited")
    to_ms: int = Field(description="log time up to which, not included")
    readings: int = Field(description="numbers in the audited part of the log, duplicates included")
    duplicates: int
    gaps: int


class StatusQuery(BaseModel):
    """A metric or a pattern that an analyst has deployed (`headwater sql deploy`)."""

    kind: str = Field(description="metric or pattern")
    name: str
    unit: str = Field(description="of a metric")
    owner: str
    description: str
    state: str = Field(description="starting, running, or failed: its query failed, and its job alone was stopped")
    why: str = Field(description="why it failed; empty if it did not")
    changed: int = Field(description="since when, UTC epoch ms")


class StatusJob(BaseModel):
    """A job of the stack as its keeper sees it."""

    name: str
    state: str = Field(description="starting, running, failing (again and again, or it was not taken), or stopped")
    why: str = Field(description="why it fails; empty if it does not")
    changed: int = Field(description="since when, UTC epoch ms")


class StatusAnswer(BaseModel):
    """How fast, how late, how far behind, how much was refused."""

    model_config = example(
        type="status",
        sent=1795601413000,
        ready=True,
        readings_per_s=804.2,
        delay_ms={"p50": 310, "p99": 540},
        lag={"aggregation": 1200, "alerting": 900, "api": 3, "postgres": 820, "raw": 410},
        dead_letters={"bad-json": 2},
        repairs={"missing": 0, "fewer": 0, "more": 0, "changed": 0, "unfounded": 0},
        audited=1795601040000,
        balance={
            "state": "balanced",
            "finished": 1795601233000,
            "from_ms": 1795597610000,
            "to_ms": 1795601210000,
            "readings": 2894400,
            "duplicates": 1200,
            "gaps": 0,
        },
        queries=[
            {
                "kind": "metric",
                "name": "computed_power_watt",
                "unit": "watt",
                "owner": "analysts",
                "description": "Power of a meter",
                "state": "running",
                "why": "",
                "changed": 1795601000000,
            }
        ],
        jobs=[{"name": "alerting", "state": "running", "why": "", "changed": 1795601000000}],
        disk={"free_mb": 14200, "mark_mb": 1000, "low": False},
        devices=201,
        clients=2,
        log_time=1795601412750,
        mqtt="mqtt://127.0.0.1:1883",
    )

    type: str
    sent: int
    ready: bool = Field(description="false while the API still catches up with the log after its start")
    readings_per_s: float
    delay_ms: StatusDelay
    lag: dict[str, int | None] = Field(
        description="records behind, by reader: jobs, this process (rows: api; alerts), stores; null while not known"
    )
    dead_letters: dict[str, int] = Field(description="by reason, of all that the topic keeps")
    repairs: dict[str, int] | None = Field(
        description="rows that differed from the raw readings when their minute was audited, by cause; all 0 in a "
        "healthy run; null while not known"
    )
    balance: StatusBalance | None = Field(description="the newest `headwater audit`; null if there was none")
    audited: int | None = Field(description="start of the newest minute of event time that was audited")
    queries: list[StatusQuery] | None = Field(description="what analysts have deployed, by name; null while not known")
    jobs: list[StatusJob] | None = Field(description="the jobs of the stack, by name; null while not known")
    disk: StatusDisk
    devices: int = Field(description="devices heard of within the last minute")
    clients: int = Field(description="live clients of this process")
    log_time: int | None
    mqtt: str = Field(description="where devices connect")


class Health(BaseModel):
    """The process runs."""

    model_config = example(status="ok")

    status: str


class Readiness(BaseModel):
    """Whether everything can be served, and if not, which part is away and why."""

    model_config = example(ready=True, parts={"kafka": "ok", "postgres": "ok", "valkey": "ok", "live": "ok"})

    ready: bool
    parts: dict[str, str] = Field(description="ok, or what is wrong")
