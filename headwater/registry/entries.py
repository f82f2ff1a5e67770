"""Sites, models and devices as people write and read them, checked whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from headwater.model.device import Attributes, MetricOfModel, Scalar
from headwater.model.errors import BadFields, Fault
from headwater.registry.fields import (
    MAX_TITLE,
    Check,
    FieldFaults,
    facts,
    metrics,
    name_of,
    optional,
    tags,
    take,
    text,
    zone,
)

Entry = TypeVar("Entry", bound="Site | Model | Device")

SCOPES = ("server", "shared", "client")
"""Kinds of attributes (`headwater.model.device.Attributes`)."""


@dataclass(frozen=True)
class Site:
    """A place with devices. `zone` is its time zone (IANA); `version` 0 means: not stored."""

    tenant: str
    site: str
    title: str = ""
    zone: str = "UTC"
    place: str = ""
    version: int = 0
    changed_ms: int = 0


@dataclass(frozen=True)
class Model:
    """A kind of device: its metrics by name. `version` 0 means: not stored."""

    tenant: str
    model: str
    title: str = ""
    metrics: dict[str, MetricOfModel] = field(default_factory=dict)
    version: int = 0
    changed_ms: int = 0


@dataclass(frozen=True)
class Device:
    """A device. `tags` are sorted, each once; `state` of its tokens: good, revoked, expired or none."""

    tenant: str
    device: str
    kind: str = ""
    site: str | None = None
    model: str | None = None
    tags: list[str] = field(default_factory=list)
    attributes: Attributes = field(default_factory=Attributes)
    version: int = 0
    changed_ms: int = 0
    created_ms: int = 0
    token: str = "none"  # noqa: S105  # a state, not a secret


def _attributes(value: object) -> dict[str, dict[str, Scalar]]:
    if not isinstance(value, Mapping):
        raise ValueError("expected an object of server, shared, client")
    taken, faults = take(value, dict.fromkeys(SCOPES, facts), ".")
    if faults:
        raise FieldFaults(faults)
    return taken


@dataclass(frozen=True, eq=False)
class Kind(Generic[Entry]):
    """One kind of entry. Its table is called as the column of its name; `checks` has its fields in order."""

    table: str
    entry: type[Entry]
    checks: dict[str, Check]


SITES = Kind("site", Site, {"title": text(MAX_TITLE), "zone": zone, "place": text()})
MODELS = Kind("model", Model, {"title": text(MAX_TITLE), "metrics": metrics})
DEVICES = Kind(
    "device",
    Device,
    {
        "kind": text(64),
        "site": optional(name_of("site")),
        "model": optional(name_of("model")),
        "tags": tags,
        "attributes": _attributes,
    },
)
READ_ONLY = ("version", "changed_ms", "created_ms", "token")
"""Fields that an answer or an export has and a change may repeat: they are passed over."""


def changes(kind: Kind[Any], given: object) -> dict[str, Any]:
    """The fields that a change gives, as they are stored. Raises `BadFields` with every fault."""
    if not isinstance(given, Mapping):
        raise BadFields([Fault("", f"expected an object of {', '.join(kind.checks)}; send JSON as {{...}}")])
    taken, faults = take({name: value for name, value in given.items() if name not in READ_ONLY}, kind.checks)
    if faults:
        raise BadFields(faults)
    return taken
