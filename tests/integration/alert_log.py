"""Events of alerts on the log, and what Valkey holds of them."""

import json

import redis
from confluent_kafka import Producer

from api.ws.alerts import shown
from headwater.model import codec
from headwater.model.alert import AlertEvent
from headwater.model.episode import Episode
from headwater.model.stores import active_alerts_key
from headwater.model.topics import ALERTS


def append(bootstrap: str, events: list[AlertEvent]) -> None:
    """Writes as the alerting job does, keyed by device."""
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 5})
    for event in events:
        key = codec.device_key(event.tenant, event.device)
        producer.produce(ALERTS.name, codec.encode(event), key)
        producer.poll(0)
    assert producer.flush(60) == 0


def held(client: redis.Redis, tenant: str) -> dict[str, dict]:
    """Alert id -> the active episode as it is shown to people."""
    found = client.hgetall(active_alerts_key(tenant))
    return {alert.decode(): json.loads(json.dumps(shown(codec.decode(Episode, text)))) for alert, text in found.items()}
