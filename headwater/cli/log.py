"""Commands for recorded logs: a range of the log in a file, and from a file onto topics again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from headwater.cli.show import console, told
from headwater.cli.when import moment, shown
from headwater.clock import now_ms
from headwater.model.pack import PULSE_TENANT
from headwater.model.settings import Settings
from headwater.model.topics import RAW
from headwater.truth import logfile
from headwater.truth.span import Entry, Reader

app = typer.Typer(no_args_is_help=True, help="The log of readings, saved and loaded.")

From = Annotated[str | None, typer.Option("--from", help="log time: 2026-11-24T12:00:00Z, epoch ms, or -15m")]
To = Annotated[str | None, typer.Option("--to", help="log time, not included; as --from")]


@app.command()
def save(
    file: Path,
    from_: From = None,
    to: To = None,
    tenant: Annotated[str | None, typer.Option(help="only this tenant, and the pulses")] = None,
) -> None:
    """Write a range of the log, with its log times and pulses, into a file."""
    settings = Settings()
    with told(), Reader(settings.kafka) as reader:
        from_ms, to_ms = (moment(one) if one else None for one in (from_, to))
        span = reader.span(RAW.name, from_ms, to_ms)
        head = logfile.head_of(span, now_ms(), from_ms, to_ms, tenant)
        entries: Iterator[Entry] = reader.read(span)
        if tenant:
            entries = logfile.of_tenant(entries, tenant, PULSE_TENANT)
        count = logfile.write(file, head, entries)
    console.print(f"{count:,} records of {RAW.name} in {file} ({file.stat().st_size / 2**20:,.1f} MiB)")


@app.command()
def load(
    file: Path,
    into: Annotated[str, typer.Option(help="what stands before the topic's name: a log of its own")] = "loaded-",
) -> None:
    """Append a saved log to a topic of its own, each record in its partition with the log time that it had."""
    settings = Settings()
    with told():
        head, entries = logfile.read(file)
        topic = into + RAW.name
        logfile.make_topic(settings.kafka, topic, RAW, head.partitions)
        count = logfile.append(settings.kafka, topic, entries)
    console.print(
        f"{count:,} records of {shown(head.saved_ms)} on {topic}, {head.partitions} partitions. "
        f"`headwater replay --of {into} --into NAME-` plays them."
    )
