"""What the ways into Valkey (or Redis) have in common: scripts that set by version, and positions kept by Kafka."""

from __future__ import annotations

import time
from importlib.resources import files

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from connectors.sinks.base import Sink
from headwater.model.settings import SinkSettings

_LOOK_S = 2.0


class KeySink(Sink):
    """A sink into keys. Positions are committed to Kafka some time after the write.

    A key remembers that the store has been filled: if it came back empty (no disk), the log is read again. That is
    looked for also while there is nothing to write.
    """

    keeps_positions = False
    outages = (redis.RedisError, OSError)
    filled_key: str
    scripts: tuple[str, ...]
    """Names of the Lua files beside this one."""

    def __init__(self, settings: SinkSettings) -> None:
        super().__init__()
        self._client = redis.Redis.from_url(
            settings.valkey.get_secret_value(),
            protocol=2,
            socket_connect_timeout=5,
            socket_timeout=10,
            client_name=self.name,
            # A silent reconnect would hide that the store came back empty.
            retry=Retry(NoBackoff(), 0),
        )
        self._script: dict[str, str] = {}
        self._filled = False
        self._looked_at = 0.0

    def positions(self) -> dict[int, int]:
        """None are kept here; loads the scripts, which proves that the store answers."""
        for name in self.scripts:
            text = (files("connectors.sinks") / f"{name}.lua").read_text()
            self._script[name] = str(self._client.script_load(text))
        return {}

    def holds_data(self) -> bool:
        """Whether a flush has ever succeeded since the store was last empty."""
        self._filled = bool(self._client.exists(self.filled_key))
        return self._filled

    def upkeep(self) -> None:
        """Raises an outage if the store has become empty."""
        if not self._filled or time.monotonic() - self._looked_at < _LOOK_S:
            return
        if not self.holds_data():
            raise redis.ConnectionError(f"expected the key {self.filled_key}, got none: the store came back empty")
        self._looked_at = time.monotonic()

    def remember_that_it_is_filled(self) -> None:
        """To be called after each write."""
        if not self._filled:
            self._client.set(self.filled_key, 1)
            self._filled = True

    def disconnect(self) -> None:
        """Drop the connections; the next call makes new ones."""
        self._filled = False
        self._client.close()
