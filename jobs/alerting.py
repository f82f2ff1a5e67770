"""The alerting job: packs of each device are judged by the rules that are in force at their log time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from headwater.model.settings import JobSettings
from jobs.environment import name_sources
from jobs.environment import open_streams as open_tables
from jobs.statements import Log, statement

__all__ = ["build", "open_tables"]

TABLES = ("raw_records", "alert_rules", "device_records", "alerts")
VIEWS = ("device_packs", "control")
SINKS = ("alert_events",)
OPTIONS = {
    # The state of a device is cleared when there is nothing to remember, and rules stay for good.
    "table.exec.state.ttl": "0 ms",
    # Its beats by the wall clock would take the place of log time, since no aggregate asks for log time here.
    "table.exec.mini-batch.enabled": "false",
}


def build(tables: Any, settings: JobSettings, log: Log | None = None) -> Any:
    """Packs by device and the log of rules and devices meet in one function; what it says goes to `alerts`.

    `tables` is a StreamTableEnvironment; returns the StatementSet, not yet running. At least once, and exactly once in
    effect: the id of an alert is made from what it is about and when it began. All that has state has a name, so a
    snapshot can be restored under a changed plan.
    """
    from pyflink.common import Types

    from jobs.judge import CONTROL, EVENTS, JudgeDevices

    log = replace(log or Log(), job="alerting")
    for name, value in OPTIONS.items():
        tables.get_config().set(name, value)
    for table in TABLES:
        tables.execute_sql(statement(f"sources/{table}", settings, log))
    for view in VIEWS:
        tables.execute_sql(statement(f"views/{view}", settings, log))
    text, number = Types.STRING(), Types.LONG()
    packs = tables.to_append_stream(
        tables.sql_query("select record_key, payload, log_time, appended from device_packs"),
        Types.ROW([text, text, number, Types.INSTANT()]),
    )
    control = tables.to_append_stream(
        tables.sql_query("select kind, log_partition, payload, log_time, counts_from from control"),
        Types.ROW([text, Types.INT(), text, number, Types.INSTANT()]),
    )
    for stream in (packs, control):
        name_sources(stream)
    events = (
        packs.key_by(lambda row: row[0], key_type=text)
        .connect(control.broadcast(CONTROL))
        .process(JudgeDevices(settings.partitions, settings.rules_delay_ms), EVENTS)
        .set_parallelism(settings.parallelism)
        .uid("judge")
        .name("judge")
    )
    tables.create_temporary_view("alert_events", tables.from_data_stream(events))
    job = tables.create_statement_set()
    for sink in SINKS:
        job.add_insert_sql(statement(f"sinks/{sink}", settings, log))
    return job
