"""What the registry says of a device, as it travels on `device-registry`.

Each change of a device, its site or its model is one record, keyed by tenant and device, stamped by the broker: the one
with the largest log time that is not after a reading's is what was in force for that reading. A record is whole: what
its model says of the metrics and its site of the time zone rides along, so that one temporal join on (tenant, device)
answers every question at log time, and no other table has to be of the same moment.
"""

from __future__ import annotations

import msgspec

Scalar = str | bool | int | float | None
"""What an attribute may be. Whoever reads them as text gets 21.5, true or the text itself."""


class MetricOfModel(msgspec.Struct, frozen=True, kw_only=True):
    """What a model says of one metric. `value in unit = reading * scale`.

    `low` and `high` are the range that is plausible, in `unit`, both included; `sensitivity` is the smallest change, in
    `unit`, that means something. None where the model does not say.
    """

    unit: str = ""
    scale: float = 1.0
    low: float | None = None
    high: float | None = None
    sensitivity: float | None = None
    title: str = ""


class Attributes(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about a device by who may write and read them.

    `server`: written here, never told to the device; `shared`: written here, told to the device; `client`: written by
    the device.
    """

    server: dict[str, Scalar] = {}
    shared: dict[str, Scalar] = {}
    client: dict[str, Scalar] = {}


class ClientAttributes(msgspec.Struct, frozen=True, kw_only=True):
    """A record of `device-attributes`, in JSON: what a device has said of itself, received at `received` (epoch ms).

    Names that it does not say stay as they are; None takes one away.
    """

    v: int
    tenant: str
    device: str
    received: int
    attributes: dict[str, Scalar]


class DeviceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record of `device-registry`, in JSON.

    `version` grows with every change of the device, and never starts anew, also when a device is deleted and made
    again; the same version twice is the same content (it is published at least once, and again from time to time).
    `changed_ms` is when that was (UTC epoch ms, PostgreSQL's clock; log time decides what was in force, not this).
    `site` and `model` are None where the device has none; `zone` is the site's time zone (IANA), None without a site.
    `metrics` has the metrics of the model by name; `tags` are sorted, each once. A `deleted` record says that the
    device is gone: site, model and zone are None, and the rest is empty.
    """

    v: int
    tenant: str
    device: str
    version: int
    changed_ms: int
    deleted: bool = False
    kind: str = ""
    site: str | None = None
    zone: str | None = None
    model: str | None = None
    metrics: dict[str, MetricOfModel] = {}
    tags: list[str] = []
    attributes: Attributes = Attributes()
