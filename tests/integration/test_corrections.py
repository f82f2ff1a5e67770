"""Late readings amend their rows, however late they are, whoever dies; and nothing is amended from what is left."""

import base64
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headwater.model import codec
from headwater.model.fleet import is_fleet
from headwater.model.pack import PANE_MS, Correction
from headwater.stack import jars, kafka
from headwater.stack.foreground import running
from headwater.stack.state import State
from headwater.truth.logs import START_MS
from headwater.truth.registries import random_registry
from headwater.workers.corrections import Session
from tests.integration.corrections_line import (
    DAY_MS,
    HORIZON_MS,
    SLACK_MS,
    Line,
    changed,
    differ,
    facts,
    folded,
    late_log,
)
from tests.integration.raw_store import put, say
from tests.integration.sink_processes import dead_letters, until

MINUTE_MS = START_MS // 60_000 * 60_000


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker whose topics are ours alone: the tests make them anew."""
    state = State.open(tmp_path_factory.mktemp("own"), {"HEADWATER_PORTS": "free"})
    jars.ensure(state.folder, "kafka")
    kafka.prepare(state)
    with running(kafka.program(state), state.folder / "logs"):
        yield state.url("kafka")


@pytest.fixture
def line(own_kafka: str, postgres: str, clickhouse: str, tmp_path: Path) -> Iterator[Line]:
    made = Line(own_kafka, postgres, clickhouse, tmp_path)
    yield made
    made.close()


def expected_of(log, said=()) -> dict:
    return {key: facts(row) for key, row in folded(log, said=said).rows().items()}


def on_time(log, said=()) -> list:
    """Every row of devices that the job would publish on the way, in its order, and then those of fleets."""
    reference = folded([], HORIZON_MS, said)
    rows = [row for record in log for row in reference.take(record)]
    return [*rows, *(row for key, row in reference.rows().items() if is_fleet(key[1]))]


@pytest.mark.parametrize("seed", range(3))
def test_final_rows_are_those_of_everything_however_late(line: Line, seed: int):
    log = late_log(seed)
    said = random_registry(seed, log, edits=12)
    reference = folded(log, HORIZON_MS)
    assert len(reference.corrections) > 20
    assert max(one.log_time - one.pane for one in reference.corrections) > DAY_MS
    line.sink()
    line.worker()
    line.audit_from(MINUTE_MS)
    line.append(log)
    line.publish(on_time(log, said))
    line.correct(reference.corrections)
    say(line.raw, said)
    line.hold(log)
    expected = expected_of(log, said)
    before = {row.key: facts(row) for row in on_time(log, said)}
    fleets = [key for key in expected if is_fleet(key[1])]
    assert sum(expected[key] != before.get(key) for key in fleets) >= 10
    line.until_rows_are(expected)
    closed = MINUTE_MS + 4 * 60_000
    line.held(log, closed + HORIZON_MS + SLACK_MS + 60_000)
    line.beat(max(record.log_time for record in log) + 1)
    until(lambda: line.audited_to(closed), "the audit of all minutes")
    assert {cause: n for cause, n in line.audited().items() if cause != "minutes" and n} == {}
    assert {row.generation for row in line.rows().values()} == {1}
    assert differ(expected, line.rows()) == []


def test_killed_at_any_moment_it_forgets_nothing(line: Line):
    log = late_log(7, devices=12, seconds=120, hz=6.0)
    said = random_registry(7, log)
    reference = folded(log, HORIZON_MS)
    line.sink()
    line.append(log)
    line.publish(on_time(log, said))
    say(line.raw, said)
    dice = random.Random(7)
    parts = [reference.corrections[begin::6] for begin in range(6)]
    worker = line.worker(corrections_rows=20)
    for number, part in enumerate(parts):
        line.correct(part)
        if number == 2:
            line.hold(log)
        time.sleep(dice.uniform(0.3, 2.5))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker = line.worker(corrections_rows=20)
    line.until_rows_are(expected_of(log, said))
    assert line.ended(worker) == 0


def test_with_the_raw_stores_own_sink_and_both_killed(line: Line):
    log = late_log(13, devices=8, seconds=90, hz=6.0)
    said = random_registry(13, log, edits=20)
    reference = folded(log, HORIZON_MS)
    line.sink()
    dice = random.Random(13)
    worker, raw = line.worker(), line.raw_sink()
    third = len(log) // 3 + 1
    for number in range(3):
        part = log[number * third : (number + 1) * third]
        places = {(record.partition, record.offset) for record in part}
        line.append(part)
        line.say(said[number * len(said) // 3 : (number + 1) * len(said) // 3])
        line.publish(on_time(log, said)[number::3])
        # Named only once they are in the log, as the job does it: what lies past its end is refused as lost.
        line.correct([one for one in reference.corrections if (one.partition, one.offset) in places])
        time.sleep(dice.uniform(0.5, 3))
        for process in dice.sample([worker, raw], dice.choice([1, 2])):
            process.kill()
            process.wait()
        worker = worker if worker.poll() is None else line.worker()
        raw = raw if raw.poll() is None else line.raw_sink()
    line.pulse(max([log[-1].log_time, said[-1].log_time]) + 1)
    line.until_rows_are(expected_of(log, said))


def test_two_workers_take_turns(line: Line):
    log = late_log(8)
    line.sink()
    first, second = line.worker(), line.worker()
    line.publish(on_time(log))
    line.hold(log)
    corrections = folded(log, HORIZON_MS).corrections
    line.correct(corrections[::2])
    time.sleep(2)
    first.kill()
    first.wait()
    line.correct(corrections[1::2])
    line.until_rows_are(expected_of(log))
    assert second.poll() is None


def slow_raw_store(line: Line, log: list, wait: Callable[[], None]) -> None:
    """The raw store gets the late packs only after `wait`, when they have long been named."""
    late = {(one.partition, one.offset) for one in folded(log, HORIZON_MS).corrections}
    early = [record for record in log if (record.partition, record.offset) not in late]
    line.append(log)
    line.publish(on_time(log))
    put(line.raw, early)
    line.correct(folded(log, HORIZON_MS).corrections)
    wait()
    line.hold(log)


def test_it_waits_for_the_raw_store(line: Line):
    log = late_log(9)
    line.sink()
    with line.worker_here():
        slow_raw_store(line, log, lambda: time.sleep(4))
        line.until_rows_are(expected_of(log))


def test_control_without_waiting_for_the_raw_store_late_readings_are_missing(line: Line, monkeypatch):
    monkeypatch.setattr(Session, "_is_held", lambda _self: True)
    log = late_log(9)
    line.sink()
    with line.worker_here():
        slow_raw_store(line, log, lambda: until(line.corrected_all, "each correction counts as done"))
        line.stored_all()
        assert differ(expected_of(log), line.rows())


def test_what_retention_has_begun_to_remove_is_refused_and_the_good_row_stays(line: Line):
    log = late_log(10)
    reference = folded(log, HORIZON_MS)
    line.sink()
    line.publish(on_time(log))
    line.hold(log)
    edge = MINUTE_MS + 30_000
    line.raw.insert("raw_edge", [[edge, 0]], column_names=["before_ms", "written_ms"])
    # What is left of a pane that was cut: the recomputed row would look newer than the good one.
    line.raw.command(f"delete from reading where ts < {edge} and ts % 3 = 0", settings={"mutations_sync": 2})
    line.worker()
    line.correct(reference.corrections)
    before = folded(log, HORIZON_MS).rows()
    expected = {key: row for key, row in expected_of(log).items() if key[3] >= edge}
    expected |= {key: facts(row) for key, row in before.items() if key[3] < edge}
    assert any(one.pane < edge for one in reference.corrections)
    line.until_rows_are(expected)
    wanted = [one for one in reference.corrections if one.pane < edge]
    until(lambda: len(dead_letters(line.kafka)) >= len(wanted), "a dead letter for each")
    letters = dead_letters(line.kafka)
    assert {(letter.reason, letter.door) for letter in letters} == {("past-retention", "corrections")}
    named = {(one.partition, one.offset) for one in wanted}
    payloads = [codec.decode(Correction, base64.b64decode(letter.payload)) for letter in letters]
    assert {(one.partition, one.offset) for one in payloads} == named
    line.stored_all()
    assert differ(expected, line.rows()) == []


def test_what_can_never_be_done_becomes_a_dead_letter_and_holds_nothing_up(line: Line):
    log = late_log(11)
    reference = folded(log, HORIZON_MS)
    some = reference.corrections[0]
    line.sink()
    line.publish(on_time(log))
    line.hold(log)
    broken = [
        changed(some, pane=some.pane + 1),
        changed(some, tenant="nul\x00"),
        changed(some, metrics=[]),
        changed(some, offset=-1),
    ]
    lost = [
        changed(some, offset=10**9),
        changed(some, partition=77),
        changed(some, pane=some.pane + 50 * PANE_MS, offset=10**6),
    ]
    line.producer.produce("corrections", b"no json")
    line.worker()
    line.correct([*broken, *lost, *reference.corrections])
    line.until_rows_are(expected_of(log))

    def refused() -> set[tuple[str, str]]:  # after an outage a letter may be written twice
        return {(letter.reason, letter.payload) for letter in dead_letters(line.kafka)}

    until(lambda: len(refused()) >= 8, "the dead letters")
    assert sorted(reason for reason, _ in refused()) == ["bad-record"] * 5 + ["not-in-log"] * 3


def test_outages_are_waited_out(line: Line, tmp_path: Path):
    log = late_log(12)
    line.sink()
    line.publish(on_time(log))
    worker = line.worker()
    corrections = folded(log, HORIZON_MS).corrections
    cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'headwater-corrections'"
    table, away = "reading", "reading_away"
    line.raw.command(f"rename table {table} to {away}")  # the store answers every question with an error
    line.held(log)
    for part in range(4):
        line.correct(corrections[part::4])
        time.sleep(0.7)
        line.store.query(cut)
    line.raw.command(f"rename table {away} to {table}")
    line.hold(log)
    line.correct(corrections)
    line.until_rows_are(expected_of(log))
    assert worker.poll() is None
