"""HiveMQ's lifecycle hooks in Python: who connected and how each connection ended. Import it only while the JVM runs.

Python is called at a CONNACK and at the end of a connection, never for a message, and only puts the event into memory.
What belongs to a connection is kept with it, in HiveMQ's own store of connection attributes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jpype
import structlog

from headwater.broker.events import Events
from headwater.broker.java import address_of, always
from headwater.clock import now_ms
from headwater.model.codec import VERSION
from headwater.model.event import DeviceEvent, Ended, Kind, reason_of

_DEVICE, _NUMBER = "headwater.device", "headwater.connection"
_VERSIONS = {"V_3_1": "3.1", "V_3_1_1": "3.1.1", "V_5": "5"}
_MOST_TEXT = 256
_LISTENERS = "com.hivemq.extension.sdk.api.events.client.ClientLifecycleEventListenerProvider"
_INTERCEPTORS = "com.hivemq.extension.sdk.api.interceptor.connack.ConnackOutboundInterceptorProvider"
_log = structlog.get_logger()


def install(services: Any, events: Events) -> None:
    """Registers the hooks. `services` is HiveMQ's class `Services`, within the start of an extension."""
    services.eventRegistry().setClientLifecycleEventListener(always(_LISTENERS, _Listener(events)))
    services.interceptorRegistry().setConnackOutboundInterceptorProvider(always(_INTERCEPTORS, _Connack(events)))


def remember_device(connection: Any, tenant: str, device: str) -> None:
    """Keeps with a connection (`ConnectionInformation`) whose it is, once it is let in."""
    connection.getConnectionAttributeStore().putAsString(_DEVICE, f"{tenant}/{device}")


def event_of(kind: Kind, whose: str, given: Any, reason: str = "", number: int = 0, **told: Any) -> DeviceEvent:
    """An event of now about the connection of an input of HiveMQ. `whose` is tenant/device."""
    tenant, _, device = whose.partition("/")
    version = given.getConnectionInformation().getMqttVersion()
    return DeviceEvent(
        v=VERSION,
        tenant=tenant,
        device=device,
        kind=kind.value,
        at=now_ms(),
        reason=reason,
        connection=number,
        client=str(given.getClientInformation().getClientId())[:_MOST_TEXT],
        address=address_of(given),
        protocol=_VERSIONS.get(str(version.name()), ""),
        **told,
    )


def quietly(work: Callable[[], None]) -> None:
    """Does `work`; an exception must not travel into HiveMQ, as a device that cannot be told of still works."""
    try:
        work()
    except Exception:
        _log.exception("an event of a device was lost")


@jpype.JImplements("com.hivemq.extension.sdk.api.interceptor.connack.ConnackOutboundInterceptor")
class _Connack:
    """The moment of `connected`: whoever had the client id before is away, and the session has been looked for."""

    def __init__(self, events: Events) -> None:
        self._events = events

    @jpype.JOverride  # type: ignore[untyped-decorator]
    def onOutboundConnack(self, given: Any, _output: Any) -> None:
        quietly(lambda: self._connected(given))

    def _connected(self, given: Any) -> None:
        packet = given.getConnackPacket()
        kept = given.getConnectionInformation().getConnectionAttributeStore()
        whose = kept.getAsString(_DEVICE).orElse(None)
        if whose is None or str(packet.getReasonCode().name()) != "SUCCESS":
            return
        number = self._events.number()
        kept.putAsString(_NUMBER, str(number))
        present = bool(packet.getSessionPresent())
        self._events.tell(event_of(Kind.CONNECTED, str(whose), given, number=number, session_present=present))


@jpype.JImplements("com.hivemq.extension.sdk.api.events.client.ClientLifecycleEventListener")
class _Listener:
    """Every way in which a connection ends. One that was not told as connected is not told as disconnected."""

    def __init__(self, events: Events) -> None:
        self._events = events

    @jpype.JOverride  # type: ignore[untyped-decorator]
    def onMqttConnectionStart(self, _given: Any) -> None:
        pass

    @jpype.JOverride  # type: ignore[untyped-decorator]
    def onAuthenticationSuccessful(self, _given: Any) -> None:
        pass

    @jpype.JOverride  # type: ignore[untyped-decorator]
    def onAuthenticationFailedDisconnect(self, _given: Any) -> None:
        pass

    @jpype.JOverride  # type: ignore[untyped-decorator]
    def onConnectionLost(self, given: Any) -> None:
        quietly(lambda: self._ended(given, Ended.NOBODY))

    @jpype.JOverride  # type: ignore[untyped-decorator]
    def onClientInitiatedDisconnect(self, given: Any) -> None:
        quietly(lambda: self._ended(given, Ended.CLIENT))

    @jpype.JOverride  # type: ignore[untyped-decorator]
    def onServerInitiatedDisconnect(self, given: Any) -> None:
        quietly(lambda: self._ended(given, Ended.SERVER))

    @jpype.JOverride  # type: ignore[untyped-decorator]
    def onDisconnect(self, given: Any) -> None:
        quietly(lambda: self._ended(given, Ended.NOBODY))

    def _ended(self, given: Any, ended: Ended) -> None:
        kept = given.getConnectionInformation().getConnectionAttributeStore()
        whose, number = kept.getAsString(_DEVICE).orElse(None), kept.getAsString(_NUMBER).orElse(None)
        if whose is None or number is None:
            return
        code, detail = given.getReasonCode().orElse(None), given.getReasonString().orElse(None)
        self._events.tell(
            event_of(
                Kind.DISCONNECTED,
                str(whose),
                given,
                reason_of(None if code is None else str(code.name()), ended),
                int(number),
                detail="" if detail is None else str(detail)[:_MOST_TEXT],
            )
        )
