"""Records that wait for Kafka in PostgreSQL, so that a change and the record that tells of it cannot part.

Whoever changes something writes the record in the same transaction (`put`, or a trigger). The worker
`headwater.workers.registry` publishes the records in order and deletes them once Kafka has acknowledged them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from psycopg import Connection

from headwater.model.stores import OUTBOX
from headwater.model.topics import Topic

CHANNEL = "outbox"
"""PostgreSQL notifies it at the commit of each transaction that has put something in."""


class Waiting(NamedTuple):
    """A record to be published; `id` gives the order."""

    id: int
    topic: str
    key: str
    value: str


def put(conn: Connection[Any], topic: Topic, key: str, value: bytes) -> None:
    """Hands a record (JSON in UTF-8) over in the transaction of `conn`. The caller commits.

    It is published at least once, in the order of `put` for each key, if the caller has locked what the key stands for
    (a row `for update`, or by changing it) before the call: otherwise a transaction that commits later may come first.
    """
    conn.execute(
        f"insert into {OUTBOX} (topic, key, value) values (%s, %s, %s)",  # noqa: S608
        (topic.name, key, value.decode()),
    )


def oldest(conn: Connection[Any], limit: int) -> list[Waiting]:
    """At most `limit` records, in the order of publishing."""
    rows = conn.execute(
        f"select id, topic, key, value from {OUTBOX} order by id limit %s",  # noqa: S608
        (limit,),
    )
    return [Waiting(*row) for row in rows]


def done(conn: Connection[Any], published: list[Waiting]) -> None:
    """Forgets records that are on Kafka. The caller commits."""
    conn.execute(
        f"delete from {OUTBOX} where id = any(%s)",  # noqa: S608
        ([one.id for one in published],),
    )
