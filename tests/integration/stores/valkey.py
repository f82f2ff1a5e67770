"""Valkey seen from outside."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from connectors.sinks.base import Sink
from connectors.sinks.valkey import ValkeySink
from headwater.model.settings import SinkSettings
from headwater.model.stores import LOG_TIME_KEY, devices_key, latest_key
from headwater.model.topics import RAW
from tests.integration.stores import Store


class ValkeyStore(Store):
    """Valkey seen from outside."""

    keeps_log_time = True
    latest_only = True
    holds_rows_back = True

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = redis.Redis.from_url(url, protocol=2)
        self.settings = SinkSettings(valkey=url)

    def sink(self) -> Sink:
        return ValkeySink(self.settings)

    def rows(self, tenant: str) -> dict[tuple[str, str, int], tuple[int, int, float]]:
        """(device, metric, pane) -> (generation, count, last)."""
        found = {}
        for device in self.client.smembers(devices_key(tenant)):
            for metric, text in self.client.hgetall(latest_key(tenant, device.decode())).items():
                held = json.loads(text)
                found[device.decode(), metric.decode(), held["pane"]] = (
                    held["generation"],
                    held["count"],
                    held["last"],
                )
        return found

    def kill_connections(self) -> None:
        for client in self.client.client_list():
            if client["name"] == "sink-valkey":
                self.client.client_kill_filter(_id=client["id"])

    @contextmanager
    def refusing(self, tenant: str, device: str) -> Iterator[None]:
        """Meanwhile the store takes no row of this device."""
        key = latest_key(tenant, device)
        held = self.client.hgetall(key)
        self.client.delete(key)
        self.client.set(key, "not a hash")
        try:
            yield
        finally:
            self.client.delete(key)
            if held:
                self.client.hset(key, mapping=held)

    def log_time(self, topic: str, partition: int) -> int | None:
        held = self.client.hget(LOG_TIME_KEY, str(partition)) if topic == RAW.name else None
        return None if held is None else int(held)


def open_store(request: pytest.FixtureRequest) -> ValkeyStore:
    """The server that all tests share; each has a tenant of its own."""
    return ValkeyStore(request.getfixturevalue("valkey"))
