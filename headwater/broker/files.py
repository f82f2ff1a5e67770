"""Where the broker keeps what it must not lose, where its jars are, and what HiveMQ is told."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from headwater.model.errors import StackError
from headwater.model.settings import BrokerSettings, state_folder

MAX_PACKET = 1_048_576
"""Most bytes of an MQTT packet. Above it the client is disconnected (MQTT 5: 0x95); below it the door judges."""

MAX_QUEUE = 1_000_000
"""Messages in a session's queue at which HiveMQ would drop. Publishers are refused long before."""

RECEIVE_MAXIMUM = 65_535
"""Unacknowledged publishes that a client may have on its way: as many as MQTT knows packet ids.

Clients such as paho send their whole backlog at once when they are back, whatever the broker says. A lower limit sends
them away (0x93) before they have read their PUBACKs, so they come back and send it all again, for ever.
"""

_CONFIG = """<?xml version="1.0" encoding="UTF-8"?>
<hivemq>
  <listeners><tcp-listener><port>{port}</port><bind-address>{host}</bind-address></tcp-listener></listeners>
  <persistence><mode>file</mode></persistence>
  <mqtt>
    <queued-messages><max-queue-size>{queue}</max-queue-size><strategy>discard</strategy></queued-messages>
    <packets><max-packet-size>{packet}</max-packet-size></packets>
    <receive-maximum><server-receive-maximum>{receive}</server-receive-maximum></receive-maximum>
  </mqtt>
  <anonymous-usage-statistics><enabled>false</enabled></anonymous-usage-statistics>
</hivemq>
"""

_LOGBACK = """<configuration scan="false">
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder class="ch.qos.logback.classic.encoder.JsonEncoder"/>
  </appender>
  <root level="WARN"><appender-ref ref="out"/></root>
  <logger name="com.google.common.util.concurrent.Futures.CombinedFuture" level="OFF"/>
  <logger name="oshi" level="ERROR"/>
  <logger name="event.message-dropped" level="DEBUG"/>
</configuration>
"""


@dataclass(frozen=True)
class Folders:
    """The broker's folders inside the state folder."""

    root: Path

    @classmethod
    def of_state(cls) -> Folders:
        """The folders of this state folder."""
        return cls(state_folder() / "broker")

    @property
    def data(self) -> Path:
        """Sessions, queues, retained messages: HiveMQ's file persistence."""
        return self.root / "data"

    @property
    def conf(self) -> Path:
        """HiveMQ's configuration, written anew at each start."""
        return self.root / "conf"

    @property
    def extensions(self) -> Path:
        """Empty: the one extension is embedded. HiveMQ wants the folder."""
        return self.root / "extensions"

    @property
    def logback(self) -> Path:
        """How Java logs."""
        return self.conf / "logback.xml"

    @property
    def devices(self) -> Path:
        """The device table as last read, so that a restart without PostgreSQL knows the devices."""
        return self.root / "devices.json"

    @property
    def tmp(self) -> Path:
        """Java's temporary files, emptied at each start: a killed broker leaves its unpacked libraries, 13 MB."""
        return self.root / "tmp"

    @property
    def crash_log(self) -> Path:
        """What Java says when it crashes, beside the logs of all programs."""
        return self.root.parent / "logs" / "broker.crash.log"

    def prepare(self, settings: BrokerSettings) -> None:
        """Makes the folders (mode 0700) and writes the configuration."""
        shutil.rmtree(self.tmp, ignore_errors=True)
        for folder in (self.root, self.data, self.conf, self.extensions, self.tmp):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.conf / "config.xml").write_text(
            _CONFIG.format(
                port=settings.broker_port,
                host=escape(settings.host),
                queue=max(MAX_QUEUE, 10 * settings.broker_queue_limit),
                packet=MAX_PACKET,
                receive=RECEIVE_MAXIMUM,
            )
        )
        self.logback.write_text(_LOGBACK)


def jars() -> list[str]:
    """The jars of HiveMQ: in `HEADWATER_BROKER_JARS`, or in `jars/hivemq` of the state folder.

    Raises `StackError` if there are none.
    """
    folder = Path(os.environ.get("HEADWATER_BROKER_JARS") or state_folder() / "jars" / "hivemq")
    found = sorted(str(path) for path in folder.glob("*.jar"))
    if not found:
        raise StackError(f"Expected the jars of HiveMQ in {folder}, found none.", "run `make up` to fetch them.")
    return found
