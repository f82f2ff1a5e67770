"""What a sink cannot use goes to `dead-letter`, whole and with where it stood, and the sink goes on."""

from __future__ import annotations

import base64

import structlog
from confluent_kafka import KafkaException, Producer

from connectors.sinks.base import Item, Sink
from headwater.clock import now_ms
from headwater.model import codec
from headwater.model.pack import DeadLetter
from headwater.model.topics import DEAD_LETTER

_FLUSH_S = 15.0


class Letters:
    """Dead letters of one sink. At least once: a letter is on Kafka before the position behind its record is stored."""

    def __init__(self, bootstrap: str, sink: Sink) -> None:
        self.count = 0
        """Dead letters written by this instance."""
        self._sink = sink
        self._unsent = 0
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 20}
        )
        self._log = structlog.get_logger(__name__)

    def bad_record(self, payload: bytes, where: str, why: str) -> None:
        """A record that cannot be read; `where` is its partition and offset."""
        self._send((payload, "", ""), "bad-record", f"{where}: {why}")

    def refused(self, items: list[Item], why: str, reason: str = "bad-record") -> None:
        """What can be read, but the store can never take; on Kafka when this returns."""
        for item in items:
            self._send(self._sink.letter(item), reason, why)
        self.flush()

    def flush(self) -> None:
        """All letters are acknowledged by Kafka when this returns. Raises `KafkaException` if they are not in time."""
        if self._unsent and self._producer.flush(_FLUSH_S):
            raise KafkaException(f"expected Kafka to take {self._unsent} dead letters within {_FLUSH_S:.0f} s")
        self._unsent = 0

    def _send(self, what: tuple[bytes, str, str], reason: str, detail: str) -> None:
        payload, tenant, device = what
        letter = DeadLetter(
            v=codec.VERSION,
            reason=reason,
            detail=detail,
            topic=self._sink.topic.name,
            tenant=tenant,
            device=device,
            door=self._sink.name,
            received=now_ms(),
            payload=base64.b64encode(payload).decode(),
        )
        key = codec.device_key(tenant, device) if tenant else b""
        self._producer.produce(DEAD_LETTER.name, key=key, value=codec.encode(letter))
        self._producer.poll(0)
        self._unsent += 1
        self.count += 1
        self._log.warning("sink.refused", reason=reason, detail=detail, tenant=tenant, device=device)
