"""This machine as the first device: measures itself and publishes over MQTT like any device of yours would.

Every row has the stamp of its measurement and is kept until the broker has acknowledged it, so an outage shifts nothing
and a resend is recognised. Run with `python -m headwater.workers.agent`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import orjson
import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion

from headwater.clock import now_ms
from headwater.heartbeat import Heartbeat
from headwater.logs import configure
from headwater.model.settings import AgentSettings
from headwater.stopping import stop_event
from headwater.workers.agent_sensors import Sensors

BUFFER_ROWS = 3_600
"""Measurements kept while the broker is away; then the oldest go first."""

BATCH_ROWS = 60
"""Most measurements in one message when there is something to catch up with."""

_log = structlog.get_logger()
Row = dict[str, Any]


class Outbox:
    """Rows in the order of measurement, kept until acknowledged. Bounded: when full, the oldest row goes."""

    def __init__(self, rows: int = BUFFER_ROWS) -> None:
        self._rows: deque[Row] = deque()
        self._most = rows
        self._sent = 0
        self.lost = 0

    def put(self, row: Row) -> None:
        """Adds a row; one that is on its way is not dropped."""
        if len(self._rows) >= self._most:
            del self._rows[self._sent]
            self.lost += 1
        self._rows.append(row)

    def batch(self, most: int = BATCH_ROWS) -> list[Row]:
        """The next rows to send, or none while a batch is on its way."""
        if self._sent:
            return []
        rows = list(islice(self._rows, min(most, max(1, self._most - 1))))
        self._sent = len(rows)
        return rows

    def acknowledged(self) -> None:
        """The batch on its way has arrived."""
        for _ in range(self._sent):
            self._rows.popleft()
        self._sent = 0

    def refused(self) -> None:
        """The batch on its way was not taken: it is sent again."""
        self._sent = 0

    def __len__(self) -> int:
        return len(self._rows)


class Agent:
    """Measures in one thread, sends in paho's; one message on its way at a time keeps the order."""

    def __init__(self, settings: AgentSettings) -> None:
        self._settings = settings
        self._topic = f"v1/{settings.agent_tenant}/{settings.agent_device}/telemetry"
        self._outbox = Outbox()
        self._lock = threading.Lock()
        self._client = self._new_client()
        self._heart = Heartbeat("agent")

    def run(self, stopping: threading.Event) -> None:
        """Measures and sends until `stopping` is set; waits a little for the last acknowledgement."""
        address = urlsplit(self._settings.mqtt)
        self._client.connect_async(address.hostname or "127.0.0.1", address.port or 1883, keepalive=30)
        self._client.loop_start()
        sensors = Sensors()
        every_s = self._settings.agent_every_ms / 1_000
        due = time.monotonic() + every_s
        while not stopping.wait(max(0.0, due - time.monotonic())):
            due = max(due + every_s, time.monotonic())
            row = {"ts": now_ms(), "values": sensors.measure()}
            with self._lock:
                self._outbox.put(row)
            self._send()
        until = time.monotonic() + 2
        while self._client.is_connected() and len(self._outbox) and time.monotonic() < until:
            time.sleep(0.05)
        self._client.disconnect()
        self._client.loop_stop()

    def _new_client(self) -> paho.Client:
        settings = self._settings
        user = f"{settings.agent_tenant}/{settings.agent_device}"
        client = paho.Client(CallbackAPIVersion.VERSION2, f"agent-{user}", protocol=paho.MQTTv5)
        client.username_pw_set(user, settings.agent_token.get_secret_value())
        client.reconnect_delay_set(1, 10)
        client.on_connect = self._on_connect
        client.on_disconnect = lambda _c, _d, _f, reason, _p: _log.warning("disconnected", reason=str(reason))
        client.on_publish = self._on_publish
        return client

    def _send(self) -> None:
        with self._lock:
            if not self._client.is_connected():
                return
            rows = self._outbox.batch()
            if rows:
                # A batch that is cut off by the connection's end is sent again by paho itself.
                self._client.publish(self._topic, orjson.dumps(rows), qos=1)

    def _on_connect(self, _client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            _log.warning("refused", reason=str(reason))
        else:
            _log.info("connected", waiting=len(self._outbox), lost=self._outbox.lost)
            self._send()

    def _on_publish(self, _client: paho.Client, _data: Any, _mid: int, reason: Any, _properties: Any) -> None:
        with self._lock:
            if reason.is_failure:
                _log.warning("not taken, sending again", reason=str(reason))
                self._outbox.refused()
                return
            self._outbox.acknowledged()
        self._heart.beat()
        self._send()


def main() -> None:
    """The process: measures until SIGTERM."""
    settings = AgentSettings()
    configure(settings.log_format)
    stopping = stop_event()
    Agent(settings).run(stopping)
    _log.info("stopped")


if __name__ == "__main__":
    main()
