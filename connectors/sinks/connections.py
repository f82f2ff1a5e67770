"""What events say of connections: of each client id the newest one, when it began and when it ended, if it has."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from headwater.model.event import DeviceEvent, Kind


class Connection(msgspec.Struct):
    """A row of `device_connection`. Times are UTC epoch ms; `since` is None while only the end is known."""

    tenant: str
    device: str
    client: str
    connection: int
    since: int | None = None
    ended: int | None = None
    reason: str = ""
    address: str = ""
    protocol: str = ""


def ends_and_begins(events: Iterable[DeviceEvent]) -> list[Connection]:
    """The newest connection of each client in `events`, which may come in any order and more than once."""
    newest: dict[tuple[str, str, str], Connection] = {}
    for event in events:
        if event.kind not in (Kind.CONNECTED, Kind.DISCONNECTED):
            continue
        key = (event.tenant, event.device, event.client)
        known = newest.get(key)
        if known is None or event.connection > known.connection:
            known = newest[key] = Connection(*key, event.connection, address=event.address, protocol=event.protocol)
        if event.connection == known.connection:
            if event.kind == Kind.CONNECTED:
                known.since = event.at
            else:
                known.ended, known.reason = event.at, event.reason
    return list(newest.values())
