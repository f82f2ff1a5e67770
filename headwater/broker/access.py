"""Who is let in at CONNECT, and what each may do: decided here, away from Java, so that it can be read and tested."""

from __future__ import annotations

import hmac
import threading
from collections import OrderedDict
from collections.abc import Callable

from headwater import registry
from headwater.broker.connect import Code, Connect, Session, Verdict
from headwater.broker.devices import Answer, DeviceTable, Used
from headwater.broker.gate import Closed, Gate
from headwater.broker.provisioning import Provisioning
from headwater.broker.shared import TOPIC as SHARED
from headwater.model.event import EVENTS_TOPIC
from headwater.model.settings import BrokerSettings
from headwater.registry.provisioning import USER

CLIENTS_REMEMBERED = 200_000


class Access:
    """Judges every CONNECT.

    The bridge gets in by its own password, and nobody else gets its session. A device is `tenant/device` with its
    token; it is asked to come again while the gate is closed. A client id belongs to the user that came with it first:
    another one cannot take over its connection or its session. Who is yet to be registered comes with a provisioning
    key, and keeps no client id.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        devices: DeviceTable,
        provisioning: Provisioning,
        gate: Gate,
        session: Callable[[str], Session],
    ) -> None:
        self._settings = settings
        self._devices = devices
        self._provisioning = provisioning
        self._gate = gate
        self._session = session
        self._lock = threading.Lock()
        self._users: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def judge(self, connect: Connect) -> Verdict:
        """The answer to a CONNECT."""
        if connect.user == self._settings.bridge_user:
            return self._judge_bridge(connect)
        if connect.user == USER:
            return self._judge_unregistered(connect)
        tenant, slash, device = connect.user.partition("/")
        if not slash or not tenant or not device:
            return Verdict(Code.BAD_USER_NAME_OR_PASSWORD, "expected the user tenant/device and its token")
        answer = self._devices.check(tenant, device, connect.password)
        if answer is Answer.WRONG:
            return Verdict(Code.BAD_USER_NAME_OR_PASSWORD, "the token is not this device's, or was revoked")
        if answer is Answer.UNKNOWABLE:
            return Verdict(Code.SERVER_UNAVAILABLE, "the device cannot be looked up now; try again in a moment")
        closed = self._refused_now(connect)
        if closed is not None:
            return closed
        self._keep(connect)
        below = f"v1/{tenant}/{device}"
        # What a device reads, it does not write.
        reads = [f"{below}/errors", f"{below}/commands", SHARED.format(connect.user)]
        return Verdict(Code.SUCCESS, "", [f"{below}/#"], reads, reads, (tenant, device))

    def clients_of(self, withdrawn: set[Used]) -> list[str]:
        """The client ids that came with these tokens last."""
        used = {(f"{tenant}/{device}", digest) for tenant, device, digest in withdrawn}
        with self._lock:
            return [client for client, came_with in self._users.items() if came_with in used]

    def _judge_bridge(self, connect: Connect) -> Verdict:
        secret = self._settings.bridge_password.get_secret_value()
        if not secret or not hmac.compare_digest(secret.encode(), connect.password.encode()):
            return Verdict(Code.BAD_USER_NAME_OR_PASSWORD, "expected HEADWATER_BRIDGE_PASSWORD")
        return Verdict(Code.SUCCESS, "", ["v1/+/+/errors"], ["v1/+/+/telemetry", "v1/+/+/attributes", EVENTS_TOPIC])

    def _judge_unregistered(self, connect: Connect) -> Verdict:
        verdict = self._provisioning.judge(connect)
        if verdict.code is not Code.SUCCESS:
            return verdict
        if connect.expiry_s or (not connect.clean_start and self._session(connect.client_id) is not Session.NONE):
            # A session would keep the answer for the next one, or has messages of the one before.
            return Verdict(Code.NOT_AUTHORIZED, "expected a clean start and no session expiry; connect with these")
        return self._refused_now(connect) or verdict

    def _refused_now(self, connect: Connect) -> Verdict | None:
        """Why a good token or key does not let in: the gate is closed, or the client id is another user's."""
        closed = self._gate.closed
        if closed is not None:
            code = Code.SERVER_UNAVAILABLE if closed is Closed.NO_SESSION else Code.QUOTA_EXCEEDED
            return Verdict(code, closed.value)
        client = connect.client_id
        owner, _ = self._users.get(client, (None, ""))
        others = owner not in (None, connect.user) and (
            not connect.clean_start or self._session(client) is Session.CONNECTED
        )
        if client == self._settings.bridge_session or others:
            return Verdict(Code.CLIENT_IDENTIFIER_NOT_VALID, "this client id is another device's; take your own")
        return None

    def _keep(self, connect: Connect) -> None:
        """The client id is this user's from now on."""
        with self._lock:
            self._users[connect.client_id] = (connect.user, registry.token_sha256(connect.password))
            self._users.move_to_end(connect.client_id)
            if len(self._users) > CLIENTS_REMEMBERED:
                self._users.popitem(last=False)
