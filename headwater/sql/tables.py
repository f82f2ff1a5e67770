"""What a session knows: the tables and views of `sql/`, and the functions of `udfs`.

The statements are those of the jobs, completed in the same way, but for the place in the log where reading starts. A
table, view or function is made when a statement first names it (`needed`): a session that asks for one waits for no
other.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from importlib.resources import files
from string import Template

from headwater.clock import now_ms
from headwater.model.settings import JobSettings
from jobs.environment import options
from jobs.statements import Log, values
from udfs import letters
from udfs.registry import functions

LEFT_OUT = {
    "sources/alerts": "where jobs write events of alerts as text; `analysis/alerts` reads them, column by column",
    "views/fleet_pieces": "of steps that the aggregation job takes twice; rows of sites and models are in `panes_log`",
    "analysis/metric_sink": "the insert of a deployed metric",
    "analysis/metric_rows": "made around the query of a metric",
    "analysis/pattern_sink": "the insert of a deployed pattern",
    "analysis/pattern_rows": "made around the query of a pattern",
    "analysis/given_slices": "made of the rows that the test of a pattern is given",
}
"""The files of `sql/` that no session knows, and why; those in `sinks` are none of them: what writes is for jobs."""

_READ = """\
'connector' = 'kafka',
    'properties.group.id' = '${group}',
    'properties.enable.auto.commit' = 'false',
    'scan.topic-partition-discovery.interval' = '0',
    'value.json.ignore-parse-errors' = 'true',
    ${scan}"""
"""What a table says that is read from, where jobs only write to it."""

_COMMENT = re.compile(r"--[^\n]*")
_WORD = re.compile(r"'(?:[^']|'')*'|--[^\n]*|(\w+)")
_FROM = re.compile(r"\b(?:from|join|like) (?:\$\{)?(\w+)")


@dataclass(frozen=True)
class Start:
    """Where tables start and stop reading, as options: `scan` of the log, `registry` of the registry's log.

    The registry starts an hour before the log: every device was published again in it, so what was in force is known at
    the first record (see `jobs.statements.Log.registry_scan`). Rules are always read from their beginning.
    """

    scan: str
    registry: str
    bounded: bool = False


def start(at: int | None, latest: bool = False, until_now: bool = False) -> Start:
    """Reading from log time `at` (epoch ms; None: from the oldest record on).

    `latest`: from the end of the log on. `until_now`: it ends at the end that the log has now.
    """
    if latest:
        return Start("'scan.startup.mode' = 'latest-offset',", Log(from_ms=now_ms()).registry_scan())
    log = Log(from_ms=at, bounded=until_now)
    return Start(log.scan(), log.registry_scan(), until_now)


def statement(name: str, settings: JobSettings, begin: Start, group: str = "headwater-sql", only: str = "") -> str:
    """The text of `sql/<name>.sql` with reading starting where `begin` says.

    `group` is the Kafka group under which a job commits how far it has come, `only` a further condition.
    """
    own = {"group": group, "scan": begin.scan, "registry_scan": begin.registry, "only": only}
    given = {**values(settings, Log()), **own}
    return Template(text(name)).substitute(given, flaw=Template(flaw()).substitute(given))


def readable(name: str, settings: JobSettings, begin: Start, group: str = "headwater-sql") -> str:
    """The same of a table or view that is read from, also where the file is of a table that jobs only write to."""
    made = statement(name, settings, begin, group)
    if name == "sources/alert_rules" and begin.bounded:
        return made.replace("'earliest-offset',", "'earliest-offset',\n    'scan.bounded.mode' = 'latest-offset',")
    if "'connector' = 'kafka'" in made and "scan.startup.mode" not in made:
        read = Template(_READ).substitute(group=group, scan=begin.scan)
        return made.replace("'connector' = 'kafka',", read)
    return made


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
    for name, file in _files().items():
        comment = [line.removeprefix("--").strip() for line in text(file).splitlines() if line.startswith("--")]
        found[name] = " ".join(comment).partition(". ")[0].rstrip(".")
    return dict(sorted(found.items()))


def words(statement: str) -> set[str]:
    """The words of a statement, in lower case, without those in quotes and comments."""
    return {match[1].lower() for match in _WORD.finditer(statement) if match[1]}


def columns() -> set[str]:
    """The names of the columns of all tables and views, as the files have them: one a line, four spaces in."""
    found: set[str] = set()
    for file in sources():
        found |= set(re.findall(r"^ {4}`?([a-z]\w*)", text(file).partition("\n) with (")[0], re.M))
    for file in views():
        listed = text(file).partition("\nselect\n")[2].partition("\nfrom ")[0]
        found |= set(re.findall(r"^ {4}\S*?(?:.*\W)?([a-z]\w*)`?,?$", listed, re.M))
    return found - {"case", "watermark", "primary"}


@cache
def sources() -> tuple[str, ...]:
    """The files of all tables, as `sources/corrections`: each behind those that it is `like`."""
    return _ordered(kind="table")


@cache
def views() -> tuple[str, ...]:
    """The files of all views: each behind those that it is made of."""
    return _ordered(kind="view")


def _ordered(kind: str) -> tuple[str, ...]:
    found = {
        path.name.removesuffix(".sql"): f"{folder}/{path.name.removesuffix('.sql')}"
        for folder in ("sources", "views", "analysis")
        for path in files("sql").joinpath(folder).iterdir()
        if path.name.endswith(".sql")
    }
    known = {
        name: file
        for name, file in sorted(found.items())
        if file not in LEFT_OUT and f"create temporary {kind} " in text(file)
    }
    made_of = {name: sorted(_named(file).intersection(known) - {name}) for name, file in known.items()}
    return tuple(known[name] for name in TopologicalSorter(made_of).static_order())


def _named(file: str) -> set[str]:
    return set(_FROM.findall(_COMMENT.sub("", text(file))))


@cache
def _files() -> dict[str, str]:
    return {file.partition("/")[2]: file for file in (*sources(), *views())}


@cache
def _below(name: str) -> frozenset[str]:
    """The tables and views that one is made of, itself too."""
    named = _named(_files()[name]).intersection(_files()) - {name}
    return frozenset({name}.union(*(_below(one) for one in named)))


def needed(statement: str, but: Collection[str] = ()) -> list[str]:
    """The tables and views that a statement names, and what they are made of, in an order in which they can be made.

    What is in `but` is there already, with all that it is made of. A word that only looks like the name of a table
    makes one that nobody reads, which costs nothing but the time to make it.
    """
    named = words(statement)
    if "show" in named and named & {"tables", "views"}:
        named |= _files().keys()
    wanted: set[str] = set().union(*(_below(one) for one in named & _files().keys() if one not in but))
    return [name for name in _files() if name in wanted and name not in but]


def called(statement: str) -> list[str]:
    """The functions of `udfs` that a statement names."""
    named = words(statement)
    return [name for name in functions() if name in named or {"show", "functions"} <= named]


def made(names: Iterable[str], settings: JobSettings, begin: Start, group: str = "headwater-sql") -> Iterator[str]:
    """The statements that make tables and views of these names."""
    for name in names:
        yield readable(_files()[name], settings, begin, group)


def made_functions(names: Iterable[str]) -> Iterator[str]:
    """The statements that make functions of these names."""
    for name in names:
        yield f"create temporary system function {name} as 'udfs.flink.{name}' language python"


def opening(settings: JobSettings, begin: Start) -> Iterator[str]:
    """The statements that make all tables, views and functions."""
    yield from made(_files(), settings, begin)
    yield from made_functions(functions())


def reopening(names: Collection[str], settings: JobSettings, begin: Start) -> Iterator[str]:
    """The statements by which the tables among `names` start reading somewhere else; views follow their tables."""
    tables = [name for name, file in _files().items() if name in names and file in sources()]
    for name in tables:
        yield f"drop temporary table if exists {name}"
    yield from made(tables, settings, begin)


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
