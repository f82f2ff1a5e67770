"""Keeps the coarser levels true to the finer ones, by recomputing what has changed and nothing else.

Every write to `aggregate_10s` marks the minutes that it touched (`rollup_dirty`), in its own transaction. A rollup
takes marks away, writes the recomputed rows and marks the level above, all in one statement. So whatever dies, marks
and rows agree: a bucket is either true or marked. Recomputing is whole and never incremental, hence a correction of any
age, a higher generation or a repeated run all end in the same rows.
"""

from __future__ import annotations

from functools import cache
from string import Template
from typing import Any, LiteralString

import psycopg

from connectors.sinks.statements import load_sql
from headwater.model.stores import LEVELS

Connection = psycopg.Connection[Any]

ROLLED = tuple(level.name for level in LEVELS[1:])
"""The levels that are rolled up, finest first: each is the source of the next."""
_MOST_MARKS = 500_000
_UNITS = {"1m": "minute", "1h": "hour", "1d": "day"}


@cache
def statement_of(level: str) -> LiteralString:
    """The statement that brings `level` up to date: one text for all levels, with their names filled in."""
    place = [each.name for each in LEVELS].index(level)
    finer, own = LEVELS[place - 1], LEVELS[place]
    coarser = LEVELS[place + 1].name if place + 1 < len(LEVELS) else ""
    names = {
        "level": own.name,
        "target": own.table,
        "unit": _UNITS[own.name],
        "finer": finer.name,
        "source": finer.table,
        "source_time": "pane" if place == 1 else "bucket",
        "coarser": coarser,
        "coarser_unit": _UNITS.get(coarser, "day"),
    }
    return Template(load_sql("rollup")).safe_substitute(names)  # $1 is a parameter and stays


def roll_up(connection: Connection, level: str) -> int:
    """Bring the marked buckets of `level` up to date; returns how many marks were worked off.

    The connection must be in autocommit and its session in UTC. Several may call this at once: they take turns, or one
    could write what it had read before the other's write. Each turn is a transaction of at most 500,000 marks;
    those of one bucket are one piece of work.
    """
    statement = statement_of(level)
    done = 0
    while True:
        with connection.transaction():
            connection.execute("select pg_advisory_xact_lock(hashtext('headwater rollup'))")
            row = connection.execute(statement, [_MOST_MARKS]).fetchone()
        taken: int = row[0] if row else 0
        done += taken
        if taken < _MOST_MARKS:
            return done


def roll_up_all(connection: Connection) -> int:
    """Every level, finest first, so that one call carries a change from 10 s all the way up."""
    return sum(roll_up(connection, level) for level in ROLLED)
