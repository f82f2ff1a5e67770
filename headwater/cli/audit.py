"""`headwater audit`: what was acknowledged is in the log, and what is in the log is in the stores, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec
import psycopg
import typer
from clickhouse_connect.driver.exceptions import ClickHouseError
from rich.markup import escape
from rich.table import Table

from headwater.cli.log import From, To
from headwater.cli.show import console, told
from headwater.cli.when import moment, shown
from headwater.model.errors import StackError
from headwater.model.settings import JobSettings
from headwater.model.stores import AUDIT_RESULT
from headwater.raw import client as raw
from headwater.truth.audit import Audit, Wanted
from headwater.truth.gaps import Gap
from headwater.truth.report import Report
from headwater.truth.span import Reader
from headwater.truth.stores import RawRows, Rows

MOST_SHOWN = 50
EXIT = {"balanced": 0, "gap": 1, "waiting": 2}
"""Exit code by state; 1 also where the audit could not be made."""
_KEPT = "30 days"
_TOO_MUCH = 241
"""ClickHouse's number of MEMORY_LIMIT_EXCEEDED."""
_SHOWN = ("records", "readings", "duplicates", "others", "open", "outlived", "gaps")


def audit(
    from_: From = None,
    to: To = None,
    wait: Annotated[float, typer.Option(help="seconds to wait for stores that are behind")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="for scripts")] = False,
) -> None:
    """Compare the log with the stores, reading by reading: exit code 1 if anything is lost or double, 2 if too early.

    Without --from the last hour of log time is audited.
    """
    with told(), outages():
        settings = JobSettings()
        from_ms, to_ms = (moment(one) if one else None for one in (from_, to))
        wanted = Wanted(settings.horizon_ms, settings.ahead_ms, settings.pack_cap, from_ms, to_ms, wait_s=wait)
        url = settings.postgres.get_secret_value()
        with Reader(settings.kafka) as reader, psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            report = Audit(reader, Rows(connection), RawRows(raw.connect(settings, "headwater-audit")), wanted).run()
            keep(connection, report)
    if as_json:
        typer.echo(json.dumps(as_dict(report)))
    else:
        _show(report)
    raise typer.Exit(EXIT[report.state])


@contextmanager
def outages() -> Iterator[None]:
    """A store that is not there is an error for the operator and no traceback."""
    try:
        yield
    except (psycopg.Error, ClickHouseError, OSError) as error:
        if getattr(error, "code", None) == _TOO_MUCH:
            said = "ClickHouse has not enough memory for so many readings at once."
            raise StackError(said, "ask for a shorter time, as `--from -10m`.") from error
        raise StackError(
            f"A store does not answer ({type(error).__name__}: {error}).", "`headwater status`."
        ) from error


def keep(connection: psycopg.Connection[Any], report: Report) -> None:
    """Stores what was found, for the page; results older than a month go."""
    connection.execute(
        f"insert into {AUDIT_RESULT} (state, from_ms, to_ms, records, readings, duplicates, gaps, said)"  # noqa: S608
        " values (%s, %s, %s, %s, %s, %s, %s, %s)",
        (
            report.state,
            report.from_ms,
            report.to_ms,
            report.records,
            report.total("readings"),
            report.total("duplicates"),
            len(report.gaps),
            report.said,
        ),
    )
    outlived = f"delete from {AUDIT_RESULT} where finished < now() - %s::interval"  # noqa: S608  # a constant
    connection.execute(outlived, (_KEPT,))


def as_dict(report: Report) -> dict[str, Any]:
    """The report for scripts; times are UTC epoch ms."""
    names = ("state", "said", "from_ms", "to_ms", "true_ms", "messages", "records", "letters", "unmarked", "unreadable")
    return {
        **{name: getattr(report, name) for name in names},
        "seconds": round(report.seconds, 3),
        "minutes": [
            {"tenant": tenant, "minute": minute, **held.__dict__} for (tenant, minute), held in report.minutes.items()
        ],
        "gaps": [msgspec.to_builtins(gap) for gap in report.gaps],
        "waiting": [msgspec.to_builtins(gap) for gap in report.waiting],
    }


def described(gap: Gap) -> str:
    """A gap in one line: which store, whose, when, where in the log."""
    what = f" {gap.metric} of the pane {shown(gap.pane)}" if gap.metric else ""
    where = f", partition {gap.partition}, offsets {', '.join(map(str, gap.offsets))}" if gap.offsets else ""
    minutes = ", ".join(shown(minute)[:16] for minute in gap.minutes)
    return (
        f"{gap.store}: {gap.tenant}/{gap.device}{what}: expected {gap.expected}, found {gap.found}; "
        f"log minute {minutes}{where}{' (late)' if gap.late else ''}"
    )


def _show(report: Report) -> None:
    console.print(_by_tenant(report))
    for title, found in (("gap", report.gaps), ("waits", report.waiting)):
        for gap in found[:MOST_SHOWN]:
            console.print(f"[red]{title}[/red] {escape(described(gap))}")
        if len(found) > MOST_SHOWN:
            console.print(f"… and {len(found) - MOST_SHOWN} more (--json has all)")
    if report.unreadable:
        console.print(f"[yellow]{report.unreadable} records cannot be read by anybody: written past the doors[/yellow]")
    colour = {"balanced": "green", "gap": "red", "waiting": "yellow"}[report.state]
    console.print(
        f"[{colour}]{escape(report.said)}[/{colour}]\n"
        f"log time {shown(report.from_ms)} to {shown(report.to_ms)}, {report.seconds:.1f} s"
    )


def _by_tenant(report: Report) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("tenant")
    for title in ("minutes", "records", "readings", "duplicates", "texts, flags", "still open", "outlived", "gaps"):
        table.add_column(title, justify="right")
    for tenant in sorted({tenant for tenant, _ in report.minutes}):
        held = [minute for (one, _), minute in report.minutes.items() if one == tenant]
        sums = [sum(getattr(minute, name) for minute in held) for name in _SHOWN]
        table.add_row(tenant, str(len(held)), *(f"{figure:,}" for figure in sums))
    return table
