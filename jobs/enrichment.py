"""The enrichment job: every pack with what the registry said of its device at log time. Off unless it is started."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from headwater.model.settings import JobSettings
from jobs.statements import Log, statement

TABLES = ("raw_sensor_data", "device_registry", "enriched_data")
VIEWS = ("registry", "enriched")
SINKS = ("enriched_packs",)


def build(tables: Any, settings: JobSettings, log: Log | None = None) -> Any:
    """Packs, joined with the registry as of their log time, onto a topic for whoever wants them.

    `tables` is a TableEnvironment; returns the StatementSet, not yet running. Rows in are rows out, at least once. The
    registry stays in the state for good, also that of a device which is silent for days.
    """
    log = replace(log or Log(), job="enrichment")
    tables.get_config().set("table.exec.state.ttl", "0 ms")
    for table in TABLES:
        tables.execute_sql(statement(f"sources/{table}", settings, log))
    for view in VIEWS:
        tables.execute_sql(statement(f"views/{view}", settings, log))
    job = tables.create_statement_set()
    for sink in SINKS:
        job.add_insert_sql(statement(f"sinks/{sink}", settings, log))
    return job
