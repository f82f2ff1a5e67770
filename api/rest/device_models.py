"""What the REST calls answer about devices, for the OpenAPI description. Times are UTC epoch milliseconds."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

_LATEST: dict[str, Any] = {
    "last": 21.4,
    "last_ms": 1795601412000,
    "pane": 1795601410000,
    "count": 3,
    "min": 21.2,
    "max": 21.4,
    "mean": 21.3,
    "as_of": 1795601412080,
    "received": 1795601412060,
}


def example(**fields: Any) -> ConfigDict:
    """The configuration of a model with this example."""
    return ConfigDict(json_schema_extra={"example": fields})


class Latest(BaseModel):
    """The newest 10 s row of one metric."""

    model_config = example(**_LATEST)

    last: float | None = Field(description="value of the reading with the largest event time")
    last_ms: int = Field(description="its event time")
    pane: int = Field(description="start of the 10 s pane")
    count: int = Field(description="readings in the pane so far")
    min: float | None
    max: float | None
    mean: float | None
    as_of: int = Field(description="log time of the newest record folded in")
    received: int = Field(description="when a door received the newest of them")


class Connection(BaseModel):
    """Whether a device is connected over MQTT, since when, and if not, why."""

    model_config = example(connected=False, since=1795601300000, reason="keep-alive-timeout", address="10.0.0.7")

    connected: bool
    since: int | None = Field(description="when it connected, or when its last connection ended")
    reason: str = Field(description="why the last connection ended, in MQTT's own names; empty while connected")
    address: str = Field(description="IP address of the newest connection")


class Named(BaseModel):
    """What the model of a device says of a metric, for people to read. Values here are as sent, before `scale`."""

    model_config = example(unit="°C", scale=1.0, title="Temperature")

    unit: str = Field(description="empty if the model says none")
    scale: float = Field(description="a value times this is in `unit`")
    title: str = Field(description="empty if the model says none")


class DeviceSummary(BaseModel):
    """One device with its newest values."""

    model_config = example(
        tenant="demo",
        device="sim-0001",
        kind="boiler",
        created=1795600000000,
        site="north",
        model="boiler",
        tags=["roof"],
        metrics=["temperature"],
        named={"temperature": {"unit": "°C", "scale": 1.0, "title": "Temperature"}},
        last_ms=1795601412000,
        received=1795601412060,
        latest={"temperature": _LATEST},
        connection={"connected": True, "since": 1795601300000, "reason": "", "address": "10.0.0.7"},
    )

    tenant: str
    device: str
    kind: str | None = Field(description="as registered; null if the registry does not know the device")
    created: int | None = Field(description="when it was registered")
    site: str | None
    model: str | None
    tags: list[str] = Field(description="sorted, each once")
    metrics: list[str]
    named: dict[str, Named] = Field(description="those of its metrics that its model names")
    last_ms: int | None = Field(description="largest event time of all metrics; null without readings")
    received: int | None
    latest: dict[str, Latest]
    connection: Connection | None = Field(description="null for a device that never connected over MQTT")


class DevicePage(BaseModel):
    """Some devices, by name, and where to go on."""

    devices: list[DeviceSummary]
    next: str | None = Field(description="send as `cursor` for the next devices; null at the end")


class DeviceLatest(BaseModel):
    """The newest row of each metric of one device."""

    model_config = example(tenant="demo", device="sim-0001", metrics={"temperature": _LATEST})

    tenant: str
    device: str
    metrics: dict[str, Latest]


class DeviceEvent(BaseModel):
    """One event of a device."""

    id: str
    at: int
    kind: str = Field(description="connected, disconnected, refused, first-seen, provisioned, moved, ...")
    reason: str = Field(description="why a connection ended or was refused, in MQTT's own names; else empty")
    connection: int = Field(description="connected and disconnected of one connection have the same; else 0")
    client: str = Field(description="MQTT client id")
    address: str
    protocol: str = Field(description="version of MQTT")
    session_present: bool
    detail: str


class DeviceEvents(BaseModel):
    """Events of a device, newest first, and where to go on."""

    tenant: str
    device: str
    events: list[DeviceEvent]
    next: str | None = Field(description="send as `cursor` for older events; null at the end")
