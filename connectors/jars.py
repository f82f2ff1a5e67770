"""The jars that jobs need beside Flink itself, named once: the stack and the images put them into Flink's `lib/`.

Versions belong together (docs/decisions.md). `make lock` resolves them with what they need.
"""

from __future__ import annotations

FLINK_VERSION = "2.3.0"

CONNECTORS = ("org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2",)
"""Sources and sinks: one connector a technology."""

STATE_BACKENDS = (f"org.apache.flink:flink-statebackend-rocksdb:{FLINK_VERSION}",)
"""Where the state of jobs lives; RocksDB takes a tenth of the memory that the heap takes."""

FLINK = (*STATE_BACKENDS, *CONNECTORS)
"""All of them."""

GATEWAY = (f"org.apache.flink:flink-sql-gateway:{FLINK_VERSION}",)
"""The SQL Gateway, which PyFlink's package lacks. What it needs is in Flink's own jars: it belongs into `opt/`."""
