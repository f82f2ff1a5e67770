"""What a session knows from its start: the tables and views of `sql/`, and the functions of `udfs`.

The statements are those of the jobs, completed in the same way, but for the place in the log where reading starts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from string import Template

from headwater.model.settings import JobSettings
from jobs.environment import options
from jobs.statements import Log, values
from udfs import letters
from udfs.registry import functions

SOURCES = (
    "sources/raw_sensor_data",
    "sources/processed_data",
    "sources/corrections",
    "sources/dead_letter",
    "analysis/panes_log",
)
VIEWS = (
    *(f"views/{name}" for name in ("packs", "on_time", "seen", "seen_before", "fresh")),
    *(f"views/{name}" for name in ("masked_stamps", "masked_values", "pieces")),
    "analysis/panes",
    "analysis/readings",
    "analysis/slices",
    "analysis/readings_in_order",
)
"""In an order in which each is made of what stands before it."""


def scan(start: int | None, latest: bool = False, until_now: bool = False) -> str:
    """The options of a Kafka table that reads from log time `start` (epoch ms; None: from the oldest record on).

    `latest`: from the end of the log on. `until_now`: it ends at the end that the log has now.
    """
    if latest:
        return "'scan.startup.mode' = 'latest-offset',"
    return Log(from_ms=start, bounded=until_now).scan()


def statement(
    name: str, settings: JobSettings, start_options: str, group: str = "headwater-sql", only: str = ""
) -> str:
    """The text of `sql/<name>.sql` with reading starting where `start_options` say.

    `group` is the Kafka group under which a job commits how far it has come, `only` a further condition.
    """
    given = {**values(settings, Log()), "group": group, "scan": start_options, "only": only}
    return Template(text(name)).substitute(given, flaw=Template(flaw()).substitute(given))


def flaw() -> str:
    """What is wrong with a record (null: nothing), as `views/packs` says it."""
    found = re.search(r"case\n.*?\n    end(?= as flaw)", text("views/packs"), re.S)
    if found is None:
        raise LookupError("expected `case … end as flaw` in sql/views/packs.sql, got none")
    return found[0]


def text(name: str) -> str:
    """`sql/<name>.sql` as it stands."""
    return files("sql").joinpath(f"{name}.sql").read_text(encoding="utf-8")


def known() -> dict[str, str]:
    """Every table and view by name, with what it holds: the comment above it."""
    found = {}
    for name in (*SOURCES, *VIEWS):
        comment = [line.removeprefix("--").strip() for line in text(name).splitlines() if line.startswith("--")]
        found[name.partition("/")[2]] = " ".join(comment).partition(". ")[0].rstrip(".")
    return dict(sorted(found.items()))


def opening(settings: JobSettings, start_options: str, python: bool = True) -> Iterator[str]:
    """The statements with which a session begins."""
    for name in (*SOURCES, *VIEWS):
        yield statement(name, settings, start_options)
    if python:
        for name in functions():
            yield f"create temporary system function {name} as 'udfs.flink.{name}' language python"


def reopening(settings: JobSettings, start_options: str) -> Iterator[str]:
    """The statements by which the tables of a session start reading somewhere else; views follow their tables."""
    for name in SOURCES:
        yield f"drop temporary table if exists {name.partition('/')[2]}"
        yield statement(name, settings, start_options)


def properties(settings: JobSettings, wheel: str, parallelism: int, job: str = "sql") -> dict[str, str]:
    """Flink's options of a session: those of the jobs, without restarts, so that an error is told and not retried.

    `job` is the name under which dead letters of its functions go.
    """
    return {
        **options(settings),
        "parallelism.default": str(parallelism),
        "restart-strategy.type": "disable",
        "python.files": wheel,
        letters.OPTION: letters.parameters(settings.kafka, job),
    }
