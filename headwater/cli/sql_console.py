"""The console: statements to `;`, over a session that knows all tables, views and functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from headwater.cli.sql_show import as_json, as_table
from headwater.cli.when import moment
from headwater.model.errors import BadRequest, HeadwaterError, StackError
from headwater.model.settings import JobSettings
from headwater.sql import tables
from headwater.sql.session import Session
from headwater.sql.split import statements
from headwater.stack import probes
from udfs.registry import functions

COMMANDS = ("\\?", "\\d", "\\df", "\\q")
_LIMIT = re.compile(r"\blimit\s+(\d{1,9})\s*$", re.I)
_CHANGING = {"group", "order", "distinct", "count", "sum", "avg", "min", "max"}
"""Words of queries whose rows change after they were given."""
_SET = re.compile(r"set\s+'headwater\.(\w+)'\s*=\s*'([^']*)'", re.I)
_WORDS = """
and as between by case cast count create cross describe desc distinct else end explain from full group having in inner
insert into is join left like limit max min not null on or order over partition right row_number select set show sum
table tables temporary then unnest union values view when where with avg stddev_pop var_pop coalesce cardinality
"""
HELP = """\
  select … ;                      rows as they come; ctrl-c ends the query
  \\d  \\d TABLE  \\df               tables and views; columns of one; functions
  set 'headwater.from' = '-5m';   where tables start reading: earliest, latest, -15m, 2026-11-24T12:00:00Z, epoch ms
  set 'headwater.until' = 'now';  queries end at the end that the log has now ('never': they go on)
  set 'headwater.rows' = '100';   a query ends after so many rows ('all': it does not)
  \\q                              leave"""


@dataclass
class Reading:
    """Where tables start reading, where they end, and how many rows are shown (None: all)."""

    start: str = "-5m"
    until: Literal["now", "never"] = "never"
    rows: int | None = None

    def begin(self) -> tables.Start:
        """As options of tables. Raises `BadRequest` if `start` is no moment."""
        if self.start == "latest":
            return tables.start(None, latest=True)
        start = None if self.start == "earliest" else moment(self.start)
        return tables.start(start, until_now=self.until == "now")

    def changed(self, name: str, value: str) -> Reading:
        """With one of the three set. Raises `BadRequest` on an unknown name or value."""
        if name == "from":
            new = Reading(value, self.until, self.rows)
            new.begin()
            return new
        if name == "until" and value in ("now", "never"):
            return Reading(self.start, "now" if value == "now" else "never", self.rows)
        if name == "rows" and (value == "all" or re.fullmatch(r"[1-9]\d{0,8}", value)):
            return Reading(self.start, self.until, None if value == "all" else int(value))
        raise BadRequest(
            "expected 'headwater.from' (earliest, latest, -15m or a time), 'headwater.until' (now, never) or "
            f"'headwater.rows' (a number, all), got 'headwater.{name}' = '{value}'"
        )


class Console:
    """Runs statements and shows what they give; `write` takes a line.

    A table, view or function is made when a statement first names it. All of them start reading at one moment.
    """

    def __init__(
        self,
        session: Session,
        settings: JobSettings,
        reading: Reading,
        write: Callable[[str], None],
        json: bool = False,
    ) -> None:
        self._session, self._settings, self._reading = session, settings, reading
        self._begin = reading.begin()
        self._known: set[str] = set()
        self._write, self._show = write, as_json if json else as_table

    def script(self, text: str) -> None:
        """Runs all statements of `text`; the last one needs no `;`. Raises at the first that fails."""
        whole, rest = statements(text)
        for number, each in enumerate([*whole, *([rest] if rest else [])], 1):
            try:
                self.run(each)
            except BadRequest as error:
                raise BadRequest(f"statement {number} ({_short(each)}): {error}") from error

    def run(self, statement: str) -> None:
        """Runs one statement or command. Raises `BadRequest` with Flink's reason."""
        if statement.startswith("\\"):
            self._command(statement)
        elif found := _SET.fullmatch(statement):
            self._reading = self._reading.changed(found[1].lower(), found[2])
            if found[1].lower() != "rows":
                self._begin = self._reading.begin()
                for each in tables.reopening(self._known, self._settings, self._begin):
                    self._session.run(each)
        else:
            self._know(statement)
            self._execute(statement)

    def _know(self, statement: str) -> None:
        """Makes what a statement names and the session does not know yet."""
        new = tables.needed(statement, self._known)
        for name, each in zip(new, tables.made(new, self._settings, self._begin), strict=True):
            self._session.run(each)
            self._known.add(name)
        called = [name for name in tables.called(statement) if name not in self._known]
        for name, each in zip(called, tables.made_functions(called), strict=True):
            self._session.run(each)
            self._known.add(name)

    def _execute(self, statement: str) -> None:
        if re.match(r"(select|with|insert|execute|\()", statement, re.I):
            check_slots(self._settings.flink, 1)
        answer = self._session.execute(statement)
        if answer.query:
            most = [one for one in (self._reading.rows, limit_of(statement)) if one is not None]
            self._show(answer, self._write, min(most, default=None))
            self._session.cancel()
        elif answer.columns == ["job id"]:
            self._write(
                f"job {next(answer.rows).values[0]} runs: `headwater jobs list` shows it, `stop job '…';` ends it"
            )
        elif answer.columns not in (["result"], []):
            self._show(answer, self._write, None)
        else:
            list(answer.rows)

    def cancel(self) -> None:
        """Ends the query that runs."""
        self._session.cancel()

    def _command(self, text: str) -> None:
        name, _, argument = text.rstrip(";").partition(" ")
        if name == "\\d" and not argument:
            self._list(tables.known().items())
        elif name == "\\d":
            self.run(f"describe {argument.strip()}")
        elif name == "\\df":
            self._list((f"{one.name}({', '.join(one.arguments)})", one.says) for one in functions().values())
        elif name in ("\\?", "\\h"):
            self._write(HELP)
        else:
            raise BadRequest(f"expected \\d, \\d TABLE, \\df, \\? or \\q, got {text!r}")

    def _list(self, pairs: Iterable[tuple[str, str]]) -> None:
        found = list(pairs)
        width = max(len(name) for name, _ in found)
        for name, says in found:
            self._write(f"  {name.ljust(width)}  {says}")


def limit_of(statement: str) -> int | None:
    """The number of rows after which nothing more can come, or None.

    Flink lets a query with `limit` go on after its last row. Where rows are counted or sorted they still change.
    """
    found = _LIMIT.search(statement)
    return None if found is None or tables.words(statement) & _CHANGING else int(found[1])


def completions(line: str, text: str) -> list[str]:
    """What `text`, the last word of `line`, may become: keywords, tables, columns, functions, commands.

    A command stands at the beginning of a line; behind one only a table or a view can stand.
    """
    before = line[: len(line) - len(text)].strip()
    if text.startswith("\\"):
        found: Iterable[str] = COMMANDS if not before else ()
    elif before.startswith("\\"):
        found = tables.known() if before == "\\d" else ()
    else:
        own = ["headwater.from", "headwater.until", "headwater.rows"]
        found = {*_WORDS.split(), *tables.known(), *functions(), *tables.columns(), *own}
    return sorted(word for word in found if word.startswith(text.lower()))


def check_slots(flink: str, wanted: int) -> None:
    """Raises `StackError` if the cluster has fewer than `wanted` free slots: a query would wait without a word."""
    found = probes.http_json(f"{flink}/overview")
    if found["slots-available"] < wanted:
        raise StackError(
            f"Expected {wanted} free slot of the cluster, {found['slots-available']} of {found['slots-total']} are.",
            "end another query, `headwater sql undeploy` a metric, or raise taskmanager.numberOfTaskSlots in "
            "flink-conf/config.yaml and run `make down up`.",
        )


def _short(statement: str) -> str:
    line = " ".join(statement.split())
    return line if len(line) <= 60 else line[:57] + "..."


def talk(console: Console, ask: Callable[[str], str], tell_error: Callable[[str], None]) -> None:
    """Statements from `ask` until it ends or \\q; ctrl-c ends the query, or clears what was typed."""
    typed = ""
    while True:
        try:
            line = ask("... " if typed.strip() else "sql> ")
        except EOFError:
            return
        except KeyboardInterrupt:
            typed = ""
            continue
        if not typed.strip() and line.strip().startswith("\\"):
            whole, typed = [line.strip()], ""
        else:
            whole, typed = statements(f"{typed}\n{line}") if ";" in line else ([], f"{typed}\n{line}")
        for each in whole:
            if each.rstrip(";") in ("\\q", "quit", "exit"):
                return
            try:
                console.run(each)
            except KeyboardInterrupt:
                console.cancel()
                tell_error("cancelled")
            except (HeadwaterError, OSError) as error:
                tell_error(str(error))
