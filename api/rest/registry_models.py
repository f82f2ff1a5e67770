"""What the registry answers, for the OpenAPI description. Times are UTC epoch milliseconds."""

from __future__ import annotations

from pydantic import BaseModel, Field

Scalar = str | bool | int | float | None


class Versioned(BaseModel):
    """What every entry of the registry has."""

    tenant: str
    version: int = Field(description="the ETag, for If-Match; grows with every change")
    changed_ms: int


class Site(Versioned):
    """A place with devices."""

    site: str
    title: str
    zone: str = Field(description="time zone (IANA)")
    place: str


class Metric(BaseModel):
    """What a model says of a metric: reading * scale is the value in unit."""

    unit: str
    scale: float
    low: float | None = Field(description="least plausible value, in unit")
    high: float | None
    sensitivity: float | None = Field(description="the smallest change that means something, in unit")
    title: str


class Model(Versioned):
    """A kind of device."""

    model: str
    title: str
    metrics: dict[str, Metric]


class Attributes(BaseModel):
    """Facts by who may write and read them."""

    server: dict[str, Scalar] = Field(description="written here, never told to the device")
    shared: dict[str, Scalar] = Field(description="written here, told to the device")
    client: dict[str, Scalar] = Field(description="written by the device")


class Device(Versioned):
    """A device as registered."""

    device: str
    kind: str
    site: str | None
    model: str | None
    tags: list[str] = Field(description="sorted, each once")
    attributes: Attributes
    created_ms: int
    token: str = Field(description="state of its tokens: good, revoked, expired or none")


class DeviceVersion(Versioned):
    """What the registry said of a device from that change on, as it was published on `device-registry`."""

    device: str
    deleted: bool = Field(description="true of a version that says that the device is gone; the rest is empty then")
    kind: str
    site: str | None
    zone: str | None = Field(description="time zone (IANA) of the site")
    model: str | None
    metrics: dict[str, Metric] = Field(description="what the model said of them")
    tags: list[str] = Field(description="sorted, each once")
    attributes: Attributes


class DeviceVersions(BaseModel):
    """Some versions of a device, oldest first, and where to go on."""

    versions: list[DeviceVersion]
    next: int | None = Field(description="send as `cursor` for the next versions; null at the end")


class Tenant(Versioned):
    """Who owns sites, models, devices and rules."""

    title: str
    created_ms: int
    devices: int = Field(description="how many are registered")


class Tenants(BaseModel):
    """All tenants."""

    tenants: list[Tenant]


class Sites(BaseModel):
    """All sites of a tenant."""

    sites: list[Site]


class Models(BaseModel):
    """All models of a tenant."""

    models: list[Model]


class Devices(BaseModel):
    """Some devices, by name, and where to go on."""

    devices: list[Device]
    next: str | None = Field(description="send as `cursor` for the next devices; null at the end")


class Token(BaseModel):
    """A new token; it cannot be read again."""

    tenant: str
    device: str
    token: str


class ImportedDevice(BaseModel):
    """What an import did with a line."""

    tenant: str
    device: str
    what: str = Field(description="added, changed or same")
    token: str | None = Field(description="of a device that had none; it cannot be read again")


class ImportedDevices(BaseModel):
    """What an import of devices did."""

    devices: list[ImportedDevice]


class ImportedSite(BaseModel):
    """What an import did with a line."""

    tenant: str
    site: str
    what: str = Field(description="added, changed or same")


class ImportedSites(BaseModel):
    """What an import of sites did."""

    sites: list[ImportedSite]


class ImportedModel(BaseModel):
    """What an import did with a line."""

    tenant: str
    model: str
    what: str = Field(description="added, changed or same")


class ImportedModels(BaseModel):
    """What an import of models did."""

    models: list[ImportedModel]


class Key(BaseModel):
    """A provisioning key of a model; never the key itself."""

    tenant: str
    model: str
    id: str
    state: str = Field(description="good, used-up, expired or revoked")
    uses: int = Field(description="how many devices it has registered")
    most_uses: int | None = Field(description="how many it may register; null for any number")
    created_ms: int
    expires_ms: int | None
    revoked_ms: int | None
    version: int = Field(description="the ETag, for If-Match; a use does not change it")


class NewKey(Key):
    """A new provisioning key; it cannot be read again."""

    key: str


class Keys(BaseModel):
    """All provisioning keys of a model."""

    keys: list[Key]


class Provisioned(Token):
    """A device that has registered itself, and its token."""

    model: str
    made: bool = Field(description="false if it was registered before, with this very token")
