"""Bytes and addresses from and to Java, and constants for it. Import it only while the JVM runs."""

from __future__ import annotations

from typing import Any

import jpype


def always(interface: str, answer: Any) -> Any:
    """Java's own implementation of an interface with one method, which always gives `answer`: Python is not called."""
    handles = jpype.JClass("java.lang.invoke.MethodHandles")
    proxies = jpype.JClass("java.lang.invoke.MethodHandleProxies")
    kind = jpype.JClass(interface).class_
    [method] = kind.getMethods()
    constant = handles.constant(method.getReturnType(), answer)
    return proxies.asInterfaceInstance(kind, handles.dropArguments(constant, 0, method.getParameterTypes()))


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
