"""The aggregation job: readings in, one row for each series and 10 s pane out, each reading counted once."""

from __future__ import annotations

from typing import Any

from headwater.model.settings import JobSettings
from jobs.statements import Log, statement

TABLES = ("raw_sensor_data", "device_registry", "processed_data", "corrections", "dead_letter")
VIEWS = (
    "packs",
    "on_time",
    "seen",
    "seen_before",
    "fresh",
    "masked_stamps",
    "masked_values",
    "pieces",
    "registry",
    "placed_stamps",
    "fleet_pieces",
)
SINKS = ("aggregates", "late_packs", "bad_records")

SHARED = "masked_stamps"
"""The view that rows of devices and of fleets are both made of: packs without what was seen before."""

PLACED = {"masked_stamps": "placed_stamps", "masked_values": "placed_values", "pieces": "placed_pieces"}
"""What the steps behind `SHARED` are called when they are taken again, with packs whose site and model are known."""


def share(tables: Any, view: str) -> None:
    """Parses a view once, for all that read it.

    Else it is parsed for each of them, and what stands behind an unnest gets another name each time: to the planner
    these are different plans, and it shares none of them.
    """
    parsed = tables.sql_query(f"select * from {view}")  # noqa: S608  # our own name
    tables.drop_temporary_view(view)
    tables.create_temporary_view(view, parsed)


def build(tables: Any, settings: JobSettings, log: Log | None = None) -> Any:
    """Packs, less what was seen before, summed up by pane; late ones to corrections, broken ones to dead letters.

    Rows of devices wait for nobody. Those of sites and models are of the same readings, once log time has passed them
    in the registry too; a replay of spans of the log, which may be older than what the registry's log still holds, has
    none. `tables` is a TableEnvironment; returns the StatementSet, not yet running. At least once onto
    Kafka, and exactly once in effect: rows carry versions, corrections and dead letters the position of their record.
    """
    log = log or Log()
    for table in TABLES:
        tables.execute_sql(statement(f"sources/{table}", settings, log))
    for view in VIEWS:
        tables.execute_sql(statement(f"views/{view}", settings, log))
        if view == SHARED:
            share(tables, view)
        if view == PLACED[SHARED]:
            for step in ("masked_values", "pieces"):
                tables.execute_sql(statement(f"views/{step}", settings, log, **PLACED))
    job = tables.create_statement_set()
    for sink in SINKS:
        job.add_insert_sql(statement(f"sinks/{sink}", settings, log))
    if not log.spans:
        job.add_insert_sql(statement("sinks/aggregates", settings, log, pieces="fleet_pieces"))
    return job
