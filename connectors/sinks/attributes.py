"""The way of `device-attributes` into the registry: what devices have said of themselves, name by name.

It runs beside the sink of aggregates, in the same process: attributes change rarely. Each device that they change is a
version of it, and a record of `device-registry`, as with any change of the registry.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
import psycopg

from connectors.sinks.records import RecordSink
from connectors.sinks.statements import load_sql
from headwater.model.device import ClientAttributes, Scalar
from headwater.model.settings import SinkSettings
from headwater.model.topics import DEVICE_ATTRIBUTES
from headwater.registry.fields import MAX_ATTRIBUTES, MAX_CLIENT_BYTES

_Device: TypeAlias = tuple[str, str]


class AttributeSink(RecordSink):
    """Client attributes into `device`, merged in the order of the log; what a device has said already changes nothing.

    Of what is played again the newest counts at the end as it did before. What is said of a device that is not
    registered (any more), or would be too much, goes to the dead letters.
    """

    topic = DEVICE_ATTRIBUTES
    name = "sink-attributes"
    kind = ClientAttributes

    def __init__(self, settings: SinkSettings) -> None:
        super().__init__(settings)
        self._lock, self._merge = (load_sql(name, "attributes") for name in ("lock", "merge"))

    def store_records(self, cursor: psycopg.Cursor[Any], records: list[ClientAttributes]) -> None:
        """One update for each device."""
        said: dict[_Device, list[ClientAttributes]] = {}
        for record in records:
            said.setdefault((record.tenant, record.device), []).append(record)
        for device, known in self._put(cursor, {device: _together(each) for device, each in said.items()}).items():
            for record in said[device]:
                # One that is too much takes none away that came with it.
                if not known or self._put(cursor, {device: record.attributes}):
                    self._refuse(record, known)

    def forget(self, connection: psycopg.Connection[Any]) -> None:
        """Nothing: what is registered stays."""

    def _put(self, cursor: psycopg.Cursor[Any], said: dict[_Device, dict[str, Scalar]]) -> dict[_Device, bool]:
        """The devices of which nothing was taken, and whether they are registered."""
        rows = [{"tenant": key[0], "device": key[1], "attributes": attributes} for key, attributes in said.items()]
        given = msgspec.json.encode(rows).decode()
        cursor.execute(self._lock, [given])
        left = cursor.execute(self._merge, [given, MAX_ATTRIBUTES, MAX_CLIENT_BYTES]).fetchall()
        return {(tenant, device): known for tenant, device, known in left}

    def _refuse(self, record: ClientAttributes, known: bool) -> None:
        if known:
            most = f"at most {MAX_ATTRIBUTES} client attributes of {MAX_CLIENT_BYTES} bytes"
            self.refuse([record], f"expected {most} of a device, it would have more; take some away", "bad-attributes")
        else:
            self.refuse([record], "expected a registered device, got none of that name; register it", "unknown-device")


def _together(records: list[ClientAttributes]) -> dict[str, Scalar]:
    """What they say when all are heard: of a name the last counts."""
    return {name: value for record in records for name, value in record.attributes.items()}
