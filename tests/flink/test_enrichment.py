"""Every pack comes out with what the registry said of its device when it was appended: rows in are rows out.

Ten random logs, a tenant each, go through one job, which goes on in the middle from a savepoint that is older than what
it has said. Whatever is asked of its rows is asked of these.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import pytest

from headwater.model import topics
from headwater.model.pack import PULSE_TENANT, Pack
from headwater.truth import logfile
from headwater.truth.alert_logs import Entry, merged, with_beats
from headwater.truth.enriched import Enriched, EnrichedTruth, Place
from headwater.truth.enriched_logs import DAY_MS, STRANGER, compare, expected, random_log, without_an_edit
from headwater.truth.span import Entry as Stored
from headwater.truth.span import Reader, entry_of
from jobs import enrichment
from jobs.environment import open_tables, options
from jobs.statements import Log
from tests.flink.harness import PARTITIONS, WAIT_S, Lab, savepoint, wait_until

LOGS = 10
CONTROL = (topics.DEVICE_REGISTRY,)


@dataclass(frozen=True)
class Played:
    """What went into the job, and all that came out."""

    prefix: str
    log: list[Entry]
    rows: list[Stored]


def start(lab: Lab, prefix: str, **given: str):
    settings = lab.settings()
    target = {"execution.target": "remote", "rest.address": "127.0.0.1", "rest.port": lab.rest_port}
    extra = {name.replace("__", ".").replace("_", "-"): value for name, value in given.items()}
    tables = open_tables({**options(settings), **target, "pipeline.name": prefix, **extra})
    return enrichment.build(tables, settings, Log(prefix=prefix)).execute().get_job_client()


def rows(lab: Lab, prefix: str) -> list[Stored]:
    return [entry_of(message) for message in lab.read(prefix + topics.ENRICHED.name)]


def place_of(row: Stored) -> Place:
    return msgspec.json.decode(row.value or b"", type=Enriched).place


def append_packs_first(lab: Lab, prefix: str, log: list[Entry]) -> None:
    """What is said of the devices comes after their packs, as far as the job can tell: it must wait."""
    lab.append(prefix, (entry for entry in log if isinstance(entry.record, Pack)))
    lab.append(prefix, with_beats((entry for entry in log if not isinstance(entry.record, Pack)), PARTITIONS, CONTROL))


@pytest.fixture(scope="module")
def played(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    log = merged(random_log(seed, f"t{seed}", PARTITIONS) for seed in range(LOGS))
    prefix = lab.make_stamped("enriched", topics.RAW, topics.DEVICE_REGISTRY, topics.ENRICHED)
    out = prefix + topics.ENRICHED.name
    third, packs = len(log) // 3, len(expected(log))
    job = start(lab, prefix)
    try:
        append_packs_first(lab, prefix, log[:third])
        wait_until(lambda: lab.count(out) > 100, "the first packs came out")
        place = savepoint(job, tmp_path_factory.mktemp("savepoints"))
        before = lab.count(out)
        lab.append(prefix, with_beats(log[third : 2 * third], PARTITIONS, CONTROL))
        wait_until(lambda: lab.count(out) > before + 100, "more packs came out")
        job.cancel().result()
        append_packs_first(lab, prefix, log[2 * third :])
        for after in (60_000, 61_000):
            lab.beat(prefix, log[-1].log_time + after)
        job = start(lab, prefix, execution__state_recovery__path=place)

        def all_out() -> bool:
            return len(set(map(place_of, rows(lab, prefix)))) >= packs

        wait_until(all_out, "every pack came out")
        yield Played(prefix, log, rows(lab, prefix))
    finally:
        job.cancel().result()


def test_rows_in_are_rows_out_over_ten_logs_with_a_restart_from_an_older_savepoint(played: Played):
    found = compare(expected(played.log), played.rows)
    assert found.none, found
    assert found.repeats > 100


def test_the_logs_hold_every_trap(played: Played):
    wanted = list(expected(played.log).values())
    assert {row.known.version for row in wanted} > {None, 1, 2, 3}
    for column in ("kind", "site", "zone", "model", "tags", "described"):
        assert len({getattr(row.known, column) for row in wanted}) >= 3, column
    edits = {(entry.log_time, entry.key) for entry in played.log if not isinstance(entry.record, Pack)}
    assert sum((row.log_time, row.key) in edits for row in wanted) > 100
    assert any(entry.record.deleted for entry in played.log if not isinstance(entry.record, Pack))
    assert any(row.pack.device == STRANGER for row in wanted)


def test_an_edit_that_is_kept_from_the_reference_is_found(played: Played):
    less, tenant, harm = without_an_edit(played.log)
    found = compare(expected(less), played.rows)
    assert (found.missing, found.extra, found.wrong) == ([], [], harm)
    assert {expected(less)[place].pack.tenant for place in harm} == {tenant}


def test_a_device_that_was_silent_for_a_day_still_has_its_site(played: Played):
    late = {place for place, row in expected(played.log).items() if row.log_time > played.log[0].log_time + DAY_MS}
    sites = {json.loads(row.value or b"").get("site") for row in played.rows if place_of(row) in late}
    assert len(late) == LOGS * 9
    assert sites == {"north", "south", None}


def test_beats_do_not_come_out(lab: Lab, played: Played):
    assert any(PULSE_TENANT.encode() in message.value() for message in lab.read(played.prefix + topics.RAW.name))
    assert not any(PULSE_TENANT.encode() in (row.value or b"") for row in played.rows)


def test_the_comparison_of_a_running_stack_finds_each_column_that_is_wrong(lab: Lab, played: Played):
    """Last of all: it writes what no job has said."""
    with Reader(lab.bootstrap) as reader:
        truth = EnrichedTruth(reader, "t3", 0, played.prefix)
        truth.look()
        assert len(truth.wanted) == sum(row.pack.tenant == "t3" for row in expected(played.log).values())
        assert truth.difference(WAIT_S) == ([], [])
        wrong = {"known_as": 99, "kind": "x", "site": "x", "zone": "x", "model": "x", "tags": ["x"]}
        wrong |= {"described": {"a": {"unit": "furlong"}}}
        mine = {place_of(row): row for row in played.rows if (row.key or b"").startswith(b"t3/")}
        changed = dict(zip(mine, wrong, strict=False))
        values = []
        for place, column in changed.items():
            said = json.loads(mine[place].value or b"") | {column: wrong[column]}
            values.append(mine[place]._replace(value=json.dumps(said).encode()))
        logfile.append(lab.bootstrap, played.prefix + topics.ENRICHED.name, values)
        missing, found = truth.difference(WAIT_S)
    assert missing == []
    assert sorted(found) == sorted(changed)
