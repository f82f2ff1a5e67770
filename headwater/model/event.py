"""What happens to a device, as it travels on `device-events`: connections from the broker, changes from the registry.

Keyed by tenant and device, stamped by the broker of the log. Events come at least once; the id tells a repeat.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import blake2b

import msgspec

EVENTS_TOPIC = "$headwater/device-events"
"""MQTT: where the broker hands events to the bridge. No device may publish or subscribe there."""

BROKER_TENANT = "_broker"
"""Tenant of events about the broker itself. Names with a leading `_` are reserved."""


class Kind(StrEnum):
    """What happened."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    REFUSED = "refused"
    FIRST_SEEN = "first-seen"
    PROVISIONED = "provisioned"
    MOVED = "moved"
    CREDENTIALS_CHANGED = "credentials-changed"
    BROKER_STARTED = "broker-started"


class Ended(StrEnum):
    """Who ended a connection; the value is the reason where MQTT gives none."""

    CLIENT = "normal-disconnection"
    SERVER = "unspecified-error"
    NOBODY = "connection-lost"


BROKER_RESTARTED = "broker-restarted"
"""The reason of connections whose broker ended without a word: found when it starts again."""


class DeviceEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event of a device.

    `at` is when it happened by the clock of whoever saw it (UTC epoch ms). `connection` numbers the connections of a
    broker in their order, over its restarts (0: the event belongs to none): a connected and a disconnected with the
    same number belong together, and `broker-started` (tenant `_broker`) says that every connection with a lower number
    has ended. `reason` is MQTT's own name in lower case with dashes, or one of `Ended` and `BROKER_RESTARTED`.
    `address` is the client's IP address, `protocol` the version of MQTT (3.1, 3.1.1, 5).
    """

    v: int
    tenant: str
    device: str
    kind: str
    at: int
    reason: str = ""
    connection: int = 0
    client: str = ""
    address: str = ""
    protocol: str = ""
    session_present: bool = False
    detail: str = ""

    @property
    def id(self) -> str:
        """24 hex digits that the content gives: a repeat has the same."""
        told = (self.tenant, self.device, self.kind, str(self.at), str(self.connection), self.client, self.reason)
        identity = "\0".join((*told, self.detail)).encode("utf-8", "surrogatepass")
        return blake2b(identity, digest_size=12).hexdigest()


def reason_of(code: str | None, ended: Ended) -> str:
    """The reason of a disconnect: `code` is the name of an MQTT reason code (KEEP_ALIVE_TIMEOUT), None without one."""
    if code is None or (code == "SUCCESS" and ended is Ended.CLIENT):
        return ended.value
    return code.lower().replace("_", "-")
