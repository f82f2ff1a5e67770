"""What a live client may say."""

from __future__ import annotations

from typing import Any

import msgspec

from api.state import cursor as cursors
from api.state.cursor import Positions
from api.state.rows import Subscription
from headwater.model.errors import BadRequest

MOST_DEVICES = 10_000


class Subscribe(msgspec.Struct, tag_field="type", tag="subscribe"):
    """Wants rows: of some devices or the whole fleet (None), from a cursor on or with a snapshot (None)."""

    tenant: str = "demo"
    devices: list[str] | None = None
    cursor: str | None = None

    @property
    def subscription(self) -> Subscription:
        """What it wants to see. Raises `BadRequest` on too many devices or a tenant that is not for viewers."""
        if self.devices is not None and len(self.devices) > MOST_DEVICES:
            raise BadRequest(
                f"expected at most {MOST_DEVICES} devices, got {len(self.devices)}: "
                "subscribe to the fleet (devices: null) instead",
                "devices",
            )
        if not self.tenant or self.tenant.startswith("_"):
            raise BadRequest(f"expected the name of a tenant, got {self.tenant[:80]!r}", "tenant")
        return Subscription(self.tenant, None if self.devices is None else frozenset(self.devices))

    @property
    def positions(self) -> Positions | None:
        """Where it stopped. Raises `BadRequest` if the cursor is none of ours."""
        return None if self.cursor is None else cursors.read(self.cursor)


class Ping(msgspec.Struct, tag_field="type", tag="ping"):
    """Asks for the server's clock; `t` comes back as it is."""

    t: Any = None


_decoder = msgspec.json.Decoder(Subscribe | Ping)


def read(text: str | bytes) -> Subscribe | Ping:
    """The message in `text`. Raises `BadRequest` if it is none."""
    try:
        said: Subscribe | Ping = _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise BadRequest(
            'expected {"type": "subscribe", "tenant": …, "devices": [names] or null, "cursor": text or null} or '
            f'{{"type": "ping", "t": …}} as JSON, got {text[:80]!r}: {error}'
        ) from error
    return said
