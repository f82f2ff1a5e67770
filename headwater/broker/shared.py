"""What devices are told: their shared attributes, kept as retained messages, so that a subscription is an answer.

PostgreSQL notifies of each change; all of them are compared at the start, after an outage and each minute (a
notification does not come through every pooler). With PostgreSQL away devices are told what was last known.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import orjson
import psycopg
import structlog
from psycopg import Connection

from headwater.broker.asker import connect
from headwater.model.codec import VERSION

CHANNEL = "shared_attributes"
"""PostgreSQL notifies it with tenant/device when what a device is told has changed."""
TOPIC = "v1/{}/attributes/shared"
COMPARE_S = 60.0
_SLICE_S = 0.5
_RETRY_S = 1.0
_SHARED = "coalesce(attributes -> 'shared', '{}')"
_SOME = f"""
select tenant || '/' || device, {_SHARED}
from device
where (tenant, device) in (select * from unnest(%s::text[], %s::text[]))
"""  # noqa: S608
_ALL = f"{_SOME} or {_SHARED} <> '{{}}'"
_log = structlog.get_logger()

Retain = Callable[[str, bytes], None]
"""Keeps a message on a topic and tells whoever subscribes; empty bytes take it away. Returns when it is kept."""
Retained = Callable[[], dict[str, bytes]]
"""Topic -> message of what is kept on topics of the form of `TOPIC`."""


class SharedAttributes:
    """A thread that brings the broker's retained messages to what the registry says.

    A message is `{"v": 1, "shared": {...}}`, whole: what it does not name is gone. Every state that lasts reaches the
    broker, the newest last; of several changes in a moment some may be passed over.
    """

    def __init__(self, postgres_url: str, retain: Retain, retained: Retained) -> None:
        self._url = postgres_url
        self._retain = retain
        self._retained = retained
        self._kept: dict[str, bytes] | None = None
        self._away = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shared-attributes", daemon=True)

    def start(self) -> None:
        """Begins. The broker must listen by now."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread."""
        self._stopping.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._kept is None:
                    self._kept = {_device(topic): payload for topic, payload in self._retained().items()}
                with connect(self._url) as conn:
                    conn.execute("set statement_timeout = '60s'")
                    conn.execute(f"listen {CHANNEL}")
                    self._follow(conn, self._kept)
            except psycopg.Error as error:
                if not self._away:
                    _log.warning("PostgreSQL cannot be asked for attributes", error=" ".join(str(error).split()))
                self._away = True
                self._stopping.wait(_RETRY_S)
            except Exception:
                # Java's exceptions are many, and none of them may end this thread: all is compared again.
                _log.exception("shared attributes could not be told, trying again")
                self._stopping.wait(_RETRY_S)

    def _follow(self, conn: Connection[Any], kept: dict[str, bytes]) -> None:
        """Until the end or an error: all of them each minute, those that have changed at once."""
        compared = float("-inf")
        while not self._stopping.is_set():
            if time.monotonic() - compared >= COMPARE_S:
                told = self._tell(conn, _ALL, list(kept), kept)
                compared, self._away = time.monotonic(), False
                if told:
                    _log.info("shared attributes told", devices=told)
            if changed := {note.payload for note in conn.notifies(timeout=_SLICE_S, stop_after=1)}:
                changed |= {note.payload for note in conn.notifies(timeout=0)}
                self._tell(conn, _SOME, list(changed), kept)

    def _tell(self, conn: Connection[Any], query: str, devices: list[str], kept: dict[str, bytes]) -> int:
        """Tells what differs, of `devices` and those that the query finds beside them; returns of how many."""
        names = [device.partition("/")[::2] for device in devices]
        found = conn.execute(query, ([tenant for tenant, _ in names], [device for _, device in names]))
        wanted: dict[str, bytes] = dict.fromkeys(devices, b"") | {device: _message(said) for device, said in found}
        different = [device for device, message in wanted.items() if message != kept.get(device, b"")]
        for device in different:
            self._retain(TOPIC.format(device), wanted[device])
            if wanted[device]:
                kept[device] = wanted[device]
            else:
                del kept[device]
        return len(different)


def _message(shared: dict[str, Any]) -> bytes:
    return orjson.dumps({"v": VERSION, "shared": shared}, option=orjson.OPT_SORT_KEYS)


def _device(topic: str) -> str:
    """tenant/device of a topic of the form of `TOPIC`."""
    return "/".join(topic.split("/")[1:3])


def is_shared(topic: str) -> bool:
    """Whether a topic is of the form of `TOPIC`."""
    return topic == TOPIC.format(_device(topic))
