"""HiveMQ's hook for provisioning requests, in Python. Import it only while the JVM runs.

Python is called at the CONNECT of every client, and for messages of those alone that came with a provisioning key.
"""

from __future__ import annotations

from typing import Any

import jpype
import structlog

from headwater.broker.java import address_of, bytes_of, octets
from headwater.broker.provisioning import Provisioning
from headwater.registry.provisioning import REQUEST, RESPONSE

_KEY = "headwater.provisioning-key"
_SDK = "com.hivemq.extension.sdk.api"
_ANSWER_S = 5
_MOST_TEXT = 500
_log = structlog.get_logger()


def install(services: Any, provisioning: Provisioning) -> None:
    """Registers the hook. `services` is HiveMQ's class `Services`, within the start of an extension."""
    services.initializerRegistry().setClientInitializer(_Initializer(_Requests(services, provisioning)))


def remember_key(connection: Any, key_sha256: str) -> None:
    """Keeps with a connection (`ConnectionInformation`) which provisioning key let it in."""
    connection.getConnectionAttributeStore().putAsString(_KEY, key_sha256)


def _key_of(given: Any) -> str | None:
    key = given.getConnectionInformation().getConnectionAttributeStore().getAsString(_KEY).orElse(None)
    return None if key is None else str(key)


@jpype.JImplements(f"{_SDK}.services.intializer.ClientInitializer")
class _Initializer:
    def __init__(self, requests: Any) -> None:
        self._requests = requests

    @jpype.JOverride  # type: ignore[untyped-decorator]
    def initialize(self, given: Any, context: Any) -> None:
        try:
            if _key_of(given) is not None:
                context.addPublishInboundInterceptor(self._requests)
        except Exception:
            # Nothing of it may travel into HiveMQ; the connection may publish requests, and is not answered.
            _log.exception("a connection cannot ask to be registered")


@jpype.JImplements(f"{_SDK}.interceptor.publish.PublishInboundInterceptor")
class _Requests:
    """Answers a request before its PUBACK: what is acknowledged has been judged, and registered if it says so."""

    def __init__(self, services: Any, provisioning: Provisioning) -> None:
        self._services = services
        self._provisioning = provisioning
        self._builders: Any = jpype.JClass(f"{_SDK}.services.builder.Builders")
        self._qos: Any = jpype.JClass(f"{_SDK}.packets.general.Qos").AT_LEAST_ONCE
        self._codes: Any = jpype.JClass(f"{_SDK}.packets.publish.AckReasonCode")
        self._seconds: Any = jpype.JClass("java.util.concurrent.TimeUnit").SECONDS

    @jpype.JOverride  # type: ignore[untyped-decorator]
    def onInboundPublish(self, given: Any, output: Any) -> None:
        try:
            said = self._answered(given)
        except Exception:
            _log.exception("a provisioning request could not be answered")
            said = (self._codes.UNSPECIFIED_ERROR, "the broker could not answer; ask again")
        if said:
            self._provisioning.keep()
            output.preventPublishDelivery(*said)

    def _answered(self, given: Any) -> tuple[Any, ...]:
        """Answers a request; gives what its PUBACK says, and nothing of what its permissions refuse in any case."""
        packet, key = given.getPublishPacket(), _key_of(given)
        if key is None or str(packet.getTopic()) != REQUEST:
            return ()
        client = given.getClientInformation().getClientId()
        request, address = bytes_of(packet.getPayload()), address_of(given)
        refusal, answer = self._provisioning.answer(key, request, address, self._listens(client))
        message = self._builders.publish().topic(RESPONSE).qos(self._qos).payload(octets(answer)).build()
        # To this client alone, whoever else reads that topic.
        self._services.publishService().publishToClient(message, client)
        if refusal is None:
            return (self._codes.SUCCESS,)
        return self._codes.NOT_AUTHORIZED, f"{refusal.reason}: {refusal.detail}"[:_MOST_TEXT]

    def _listens(self, client: Any) -> bool:
        found = self._services.subscriptionStore().getSubscriptions(client).get(_ANSWER_S, self._seconds)
        return not found.isEmpty()
