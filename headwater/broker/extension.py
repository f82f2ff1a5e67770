"""HiveMQ's security extension in Python. Import it only while the JVM runs.

Python is called once for each CONNECT; permissions are handed over there, and every message is judged in the JVM.
JPype cannot call default methods of an interface on a Python object, so every method of an interface is written out.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import jpype
import structlog

from headwater.broker import requests
from headwater.broker.connect import Code, Connect, Verdict
from headwater.broker.events import Events
from headwater.broker.java import address_of, always
from headwater.broker.lifecycle import event_of, install, quietly, remember_device
from headwater.broker.provisioning import Provisioning
from headwater.model.event import Kind

_PROVIDER = "com.hivemq.extension.sdk.api.services.auth.provider.AuthenticatorProvider"
_log = structlog.get_logger()

_BLAMED = frozenset({Code.BAD_USER_NAME_OR_PASSWORD, Code.CLIENT_IDENTIFIER_NOT_VALID})
"""Refusals that are the device's own: those of a closed gate say nothing about it."""


def embedded_extension(judge: Any, events: Events, provisioning: Provisioning) -> Any:
    """The extension that asks `judge` (a `headwater.broker.engine.Judge`) at each CONNECT and tells `events`.

    `provisioning` answers the requests of connections that came with a provisioning key.
    """
    return (
        jpype.JClass("com.hivemq.embedded.EmbeddedExtension")
        .builder()
        .withId("headwater")
        .withName("Headwater security")
        .withVersion("1")
        .withAuthor("Headwater")
        .withPriority(0)
        .withStartPriority(0)
        .withExtensionMain(_Main(judge, events, provisioning))
        .build()
    )


def never_reuse_publish_ids() -> None:
    """Starts HiveMQ's publish ids at the time, in microseconds: above every id that an earlier run has given.

    HiveMQ goes on after the highest id in its store of payloads. A kill between the commit of a queue entry and the
    write of its payload leaves an entry without payload (never acknowledged) under a higher id. A new message that got
    the same id would find its payload counted as stored, would not store it, and would be lost after its PUBACK
    (docs/decisions.md, 13).
    """
    counter = jpype.JClass("com.hivemq.mqtt.message.publish.PUBLISH").PUBLISH_COUNTER
    counter.set(max(int(counter.get()), time.time_ns() // 1_000))


@jpype.JImplements("com.hivemq.extension.sdk.api.ExtensionMain")
class _Main:
    def __init__(self, judge: Any, events: Events, provisioning: Provisioning) -> None:
        self._judge = judge
        self._events = events
        self._provisioning = provisioning

    @jpype.JOverride  # type: ignore[untyped-decorator]
    def extensionStart(self, _input: Any, _output: Any) -> None:
        # HiveMQ starts its extension after its persistence and before its listeners.
        never_reuse_publish_ids()
        services = jpype.JClass("com.hivemq.extension.sdk.api.services.Services")
        authenticator = _Authenticator(self._judge, self._events)
        services.securityRegistry().setAuthenticatorProvider(always(_PROVIDER, authenticator))
        install(services, self._events)
        requests.install(services, self._provisioning)

    @jpype.JOverride  # type: ignore[untyped-decorator]
    def extensionStop(self, _input: Any, _output: Any) -> None:
        pass


@jpype.JImplements("com.hivemq.extension.sdk.api.auth.SimpleAuthenticator")
class _Authenticator:
    def __init__(self, judge: Any, events: Events) -> None:
        self._judge = judge
        self._events = events
        self._codes: Any = jpype.JClass("com.hivemq.extension.sdk.api.packets.connect.ConnackReasonCode")
        self._permissions = _Permissions()
        self._one = threading.Lock()

    @jpype.JOverride  # type: ignore[untyped-decorator]
    def onConnect(self, given: Any, output: Any) -> None:
        # One at a time: two threads would take Python's lock from each other at each call into Java.
        with self._one:
            self._judged(given, output)

    def _judged(self, given: Any, output: Any) -> None:
        try:
            connect = _connect(given)
            verdict = self._judge(connect)
            if verdict.code is Code.SUCCESS:
                self._permissions.give(output, verdict)
                if verdict.device is not None:
                    remember_device(given.getConnectionInformation(), *verdict.device)
                if verdict.key_sha256:
                    requests.remember_key(given.getConnectionInformation(), verdict.key_sha256)
                output.authenticateSuccessfully()
                return
            _log.info("refused", user=connect.user, client=connect.client_id, code=verdict.code.name, why=verdict.text)
            output.failAuthentication(self._codes.valueOf(verdict.code.value), verdict.text)
            if verdict.code in _BLAMED:
                quietly(lambda: self._tell_refused(given, connect.user, verdict))
        except Exception:
            # An exception must not travel into HiveMQ, and must not let anybody in.
            _log.exception("a CONNECT could not be judged")
            output.failAuthentication(self._codes.UNSPECIFIED_ERROR, "the broker could not judge this CONNECT")

    def _tell_refused(self, given: Any, user: str, verdict: Verdict) -> None:
        tenant, _, device = user.partition("/")
        reason = verdict.code.value.lower().replace("_", "-")

        def event(before: str) -> Any:
            detail = "; ".join(filter(None, (verdict.text, before)))
            return event_of(Kind.REFUSED, user, given, reason, detail=detail)

        self._events.refusals.refused(tenant, device, event)


def _connect(given: Any) -> Connect:
    packet = given.getConnectPacket()
    user = packet.getUserName().orElse(None)
    password = packet.getPassword().orElse(None)
    return Connect(
        client_id=str(packet.getClientId()),
        user="" if user is None else str(user),
        password="" if password is None else _text(password),
        clean_start=bool(packet.getCleanStart()),
        expiry_s=int(packet.getSessionExpiryInterval()),
        address=address_of(given),
    )


def _text(buffer: Any) -> str:
    return str(jpype.JClass("java.nio.charset.StandardCharsets").UTF_8.decode(buffer).toString())


class _Permissions:
    """Hands the topics of a verdict over, with few calls: at each of them Python's lock may go to another thread."""

    def __init__(self) -> None:
        kinds = jpype.JClass("com.hivemq.extension.sdk.api.auth.parameter.TopicPermission$PermissionType")
        activity = jpype.JClass("com.hivemq.extension.sdk.api.auth.parameter.TopicPermission$MqttActivity")
        self._builders = jpype.JClass("com.hivemq.extension.sdk.api.services.builder.Builders")
        self._deny = jpype.JClass("com.hivemq.extension.sdk.api.packets.auth.DefaultAuthorizationBehaviour").DENY
        self._never_publish = (activity.PUBLISH, kinds.DENY)
        self._publish = (activity.PUBLISH, kinds.ALLOW)
        self._subscribe = (activity.SUBSCRIBE, kinds.ALLOW)

    def give(self, output: Any, verdict: Verdict) -> None:
        """The first that fits counts."""
        permissions = output.getDefaultPermissions()
        rules = (
            (self._never_publish, verdict.never_publish),
            (self._publish, verdict.publish),
            (self._subscribe, verdict.subscribe),
        )
        for (activity, kind), filters in rules:
            builder = self._builders.topicPermission().activity(activity).type(kind)
            for topics in filters:
                permissions.add(builder.topicFilter(topics).build())
        permissions.setDefaultBehaviour(self._deny)
