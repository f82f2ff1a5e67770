"""Bytes and addresses from and to Java. Import it only while the JVM runs."""

from __future__ import annotations

from typing import Any

import jpype


def octets(payload: bytes) -> Any:
    """A `ByteBuffer` with these bytes."""
    return jpype.JClass("java.nio.ByteBuffer").wrap(jpype.JArray(jpype.JByte)(payload))


def bytes_of(buffer: Any) -> bytes:
    """The bytes of an `Optional` of a `ByteBuffer`; empty for none."""
    found = buffer.orElse(None)
    if found is None:
        return b""
    copy = jpype.JArray(jpype.JByte)(int(found.remaining()))
    found.get(copy)
    return bytes(memoryview(copy).cast("B"))


def address_of(given: Any) -> str:
    """The IP address of the client of an input of HiveMQ; empty if it has none any more."""
    address = given.getConnectionInformation().getInetAddress().orElse(None)
    return "" if address is None else str(address.getHostAddress())
