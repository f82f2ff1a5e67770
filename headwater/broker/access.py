"""Who is let in at CONNECT, and what each may do: decided here, away from Java, so that it can be read and tested."""

from __future__ import annotations

import hmac
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from headwater import registry
from headwater.broker.devices import Answer, DeviceTable, Key, Used
from headwater.broker.gate import Closed, Gate
from headwater.model.event import EVENTS_TOPIC
from headwater.model.settings import BrokerSettings

CLIENTS_REMEMBERED = 200_000


class Code(Enum):
    """The answer to a CONNECT, by the names of HiveMQ's `ConnackReasonCode`."""

    SUCCESS = "SUCCESS"
    BAD_USER_NAME_OR_PASSWORD = "BAD_USER_NAME_OR_PASSWORD"  # noqa: S105 - a reason, not a secret
    CLIENT_IDENTIFIER_NOT_VALID = "CLIENT_IDENTIFIER_NOT_VALID"
    SERVER_UNAVAILABLE = "SERVER_UNAVAILABLE"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"


@dataclass(frozen=True)
class Connect:
    """What a client says of itself."""

    client_id: str
    user: str
    password: str
    clean_start: bool


@dataclass(frozen=True)
class Verdict:
    """Let in or not and why, and the topic filters it may publish and subscribe to."""

    code: Code
    text: str = ""
    publish: list[str] = field(default_factory=list)
    subscribe: list[str] = field(default_factory=list)
    device: Key | None = None
    """Whose connection it is; None for the bridge and for whoever is refused."""


class Access:
    """Judges every CONNECT.

    The bridge gets in by its own password, and nobody else gets its session. A device is `tenant/device` with its
    token; it is asked to come again while the gate is closed. A client id belongs to the user that came with it first:
    another one cannot take over its connection or its session.
    """

    def __init__(
        self, settings: BrokerSettings, devices: DeviceTable, gate: Gate, connected: Callable[[str], bool]
    ) -> None:
        self._settings = settings
        self._devices = devices
        self._gate = gate
        self._connected = connected
        self._lock = threading.Lock()
        self._users: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def judge(self, connect: Connect) -> Verdict:
        """The answer to a CONNECT."""
        if connect.user == self._settings.bridge_user:
            return self._judge_bridge(connect)
        tenant, slash, device = connect.user.partition("/")
        if not slash or not tenant or not device:
            return Verdict(Code.BAD_USER_NAME_OR_PASSWORD, "expected the user tenant/device and its token")
        answer = self._devices.check(tenant, device, connect.password)
        if answer is Answer.WRONG:
            return Verdict(Code.BAD_USER_NAME_OR_PASSWORD, "the token is not this device's, or was revoked")
        if answer is Answer.UNKNOWABLE:
            return Verdict(Code.SERVER_UNAVAILABLE, "the device cannot be looked up now; try again in a moment")
        closed = self._gate.closed
        if closed is not None:
            code = Code.SERVER_UNAVAILABLE if closed is Closed.NO_SESSION else Code.QUOTA_EXCEEDED
            return Verdict(code, closed.value)
        if connect.client_id == self._settings.bridge_session or not self._own(connect):
            return Verdict(Code.CLIENT_IDENTIFIER_NOT_VALID, "this client id is another device's; take your own")
        below = f"v1/{tenant}/{device}"
        return Verdict(Code.SUCCESS, "", [f"{below}/#"], [f"{below}/errors", f"{below}/commands"], (tenant, device))

    def clients_of(self, withdrawn: set[Used]) -> list[str]:
        """The client ids that came with these tokens last."""
        used = {(f"{tenant}/{device}", digest) for tenant, device, digest in withdrawn}
        with self._lock:
            return [client for client, came_with in self._users.items() if came_with in used]

    def _judge_bridge(self, connect: Connect) -> Verdict:
        secret = self._settings.bridge_password.get_secret_value()
        if not secret or not hmac.compare_digest(secret.encode(), connect.password.encode()):
            return Verdict(Code.BAD_USER_NAME_OR_PASSWORD, "expected HEADWATER_BRIDGE_PASSWORD")
        return Verdict(Code.SUCCESS, "", ["v1/+/+/errors"], ["v1/+/+/telemetry", EVENTS_TOPIC])

    def _own(self, connect: Connect) -> bool:
        """True if the client id is free or this user's; it is this user's from now on."""
        client = connect.client_id
        owner, _ = self._users.get(client, (None, ""))
        if owner not in (None, connect.user) and (not connect.clean_start or self._connected(client)):
            return False
        with self._lock:
            self._users[client] = (connect.user, registry.token_sha256(connect.password))
            self._users.move_to_end(client)
            if len(self._users) > CLIENTS_REMEMBERED:
                self._users.popitem(last=False)
        return True
