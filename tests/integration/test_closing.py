"""The audit at the close: what is on its way is no error; what is wrong is repaired and counted, whoever dies."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.model.fleet import is_fleet
from headwater.model.pack import PANE_MS
from headwater.model.stores import PLACE_POSITIONS
from headwater.stack import jars, kafka
from headwater.stack.foreground import running
from headwater.stack.state import State
from headwater.truth.logs import START_MS
from headwater.truth.reference import correction
from headwater.truth.registries import random_registry
from headwater.workers.closing import Closing
from tests.integration.corrections_line import HORIZON_MS, SLACK_MS, Line, changed, differ, facts, folded, late_log
from tests.integration.raw_store import say
from tests.integration.sink_processes import until

MINUTE_MS = START_MS // 60_000 * 60_000
LAST_MS = MINUTE_MS + 2 * 60_000
CLOSED_MS = LAST_MS + 60_000 + HORIZON_MS + SLACK_MS


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
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


def quick_log(seed: int) -> list:
    """A log in which nothing is late."""
    return [record for record in late_log(seed) if record.log_time < record.pack.pane + PANE_MS + HORIZON_MS]


def renumbered(log: list) -> list:
    offsets = [0, 0]
    done = []
    for record in log:
        done.append(record._replace(offset=offsets[record.partition]))
        offsets[record.partition] += 1
    return done


def to_damage(rows: dict) -> list:
    """Rows that have more than one reading, so that one with a reading less is still a row."""
    return sorted(key for key, row in rows.items() if row.count > 1)


def damaged(line: Line, rows: dict) -> tuple[dict, dict]:
    """The rows as something has left them, by key, and how many of each cause."""
    keys = to_damage(rows)
    wrong = dict(rows)
    del wrong[keys[0]]
    row = rows[keys[1]]
    wrong[keys[1]] = changed(row, count=row.count - 1, sum=row.sum - row.last)
    for key in keys[2:4]:  # one reading sent in two sets of metrics counts twice
        row = rows[key]
        wrong[key] = changed(row, count=row.count + 1, sum=row.sum + row.last)
    row = rows[keys[4]]
    wrong[keys[4]] = changed(row, sum=row.sum + 1.0)
    stray = changed(rows[keys[5]], device="nobody")
    wrong[stray.key] = stray
    return wrong, {"missing": 1, "fewer": 1, "more": 2, "changed": 1, "unfounded": 1}


def causes(line: Line) -> dict[str, int]:
    return {cause: n for cause, n in line.audited().items() if cause != "minutes" and n}


def test_what_differs_is_repaired_and_counted_by_cause_and_late_readings_come_on_top(line: Line):
    log = renumbered(quick_log(21))
    rows = folded(log).rows()
    wrong, found = damaged(line, rows)
    line.sink()
    line.publish(wrong.values())
    line.hold(log, CLOSED_MS)
    line.audit_from(MINUTE_MS)
    line.beat(CLOSED_MS)
    line.stored_all()  # every row is there when the worker looks for the first time
    line.worker()
    expected = {key: facts(row) for key, row in rows.items()}
    stray = next(row for key, row in wrong.items() if key[1] == "nobody")
    expected[stray.key] = facts(stray)
    line.until_rows_are(expected)
    until(lambda: line.audited_to(LAST_MS), "the audit of all minutes")
    assert causes(line) == found
    stored = line.rows()
    keys = to_damage(rows)
    assert [stored[key].generation for key in keys[:6]] == [1, 1, 2, 2, 2, 1]
    # A pane that was repaired gets a reading a day later: the row of the higher generation grows.
    _, device, metric, pane = keys[2]
    held = {
        ts for record in log if record.pack.device == device for ts in (record.pack.pane + at for at in record.pack.at)
    }
    free = next(ts for ts in range(pane, pane + PANE_MS) if ts not in held)
    old = next(record for record in log if record.pack.device == device)
    pack = changed(old.pack, pane=pane, at=[free - pane], metrics={metric: [5.5]}, texts={})
    end = max(record.offset for record in log if record.partition == old.partition) + 1
    late = old._replace(pack=pack, offset=end, log_time=pane + 86_400_000)
    line.hold([*log, late], late.log_time)
    line.correct([correction(late)])
    expected |= {key: facts(row) for key, row in folded([*log, late]).rows().items()}
    line.until_rows_are(expected)
    assert line.rows()[keys[2]].generation == 2
    assert causes(line) == found


def test_rows_of_fleets_are_held_to_the_readings_of_their_members(line: Line):
    log = renumbered(quick_log(25))
    said = random_registry(25, log)
    rows = folded(log, said=said).rows()
    assert all(is_fleet(key[1]) for key in to_damage(rows)[:6])
    wrong, found = damaged(line, rows)
    line.sink()
    line.publish(wrong.values())
    say(line.raw, said)
    line.hold(log, CLOSED_MS)
    line.audit_from(MINUTE_MS)
    line.beat(CLOSED_MS)
    line.stored_all()  # every row is there when the worker looks for the first time
    line.worker()
    stray = next(row for key, row in wrong.items() if key[1] == "nobody")
    line.until_rows_are({key: facts(row) for key, row in {**rows, stray.key: stray}.items()})
    until(lambda: line.audited_to(LAST_MS), "the audit of all minutes")
    assert causes(line) == found
    stored = line.rows()
    assert [stored[key].generation for key in to_damage(rows)[:6]] == [1, 1, 2, 2, 2, 1]


def test_no_minute_is_audited_before_it_is_known_where_its_devices_belonged(line: Line):
    log = renumbered(quick_log(26))
    said = random_registry(26, log)
    line.sink()
    line.publish(folded(log, said=said).rows().values())
    say(line.raw, said)
    line.hold(log, CLOSED_MS)
    line.raw.command(f"truncate table {PLACE_POSITIONS}")
    line.audit_from(MINUTE_MS)
    line.beat(CLOSED_MS)
    line.stored_all()  # every row is there when the worker looks for the first time
    line.worker()
    time.sleep(4)
    assert line.audited()["minutes"] == 1
    line.hold([], CLOSED_MS)
    until(lambda: line.audited_to(LAST_MS), "the audit of all minutes")
    assert causes(line) == {}


def test_killed_at_any_moment_the_audit_goes_on_where_it_was(line: Line):
    log = renumbered(quick_log(22))
    rows = folded(log).rows()
    wrong, found = damaged(line, rows)
    line.sink()
    line.publish(wrong.values())
    line.hold(log, CLOSED_MS)
    line.audit_from(MINUTE_MS - 30 * 60_000)
    line.beat(CLOSED_MS)
    expected = {
        key: facts(row) for key, row in [*rows.items(), *((k, r) for k, r in wrong.items() if k[1] == "nobody")]
    }
    for pause in (0.8, 1.4, 2.0, 2.6):
        worker = line.worker()
        time.sleep(pause)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    line.worker()
    until(lambda: line.audited_to(LAST_MS), "the audit of all minutes")
    line.stored_all()
    assert differ(expected, line.rows()) == []
    assert line.audited()["minutes"] == 30 + 3 + 1
    assert causes(line).keys() <= found.keys()


def corrections_on_the_way(line: Line) -> list:
    """Late packs are in the raw store and their minutes have closed, before the job has named them."""
    log = late_log(23)
    reference = folded(log, HORIZON_MS)
    line.sink()
    line.publish(row for record in log for row in folded([], HORIZON_MS).take(record))
    line.publish(reference.rows().values())
    line.hold(log, CLOSED_MS)
    line.audit_from(MINUTE_MS)
    line.beat(CLOSED_MS)
    return log


def test_corrections_that_are_on_their_way_are_no_errors(line: Line):
    log = corrections_on_the_way(line)
    with line.worker_here():
        time.sleep(5)
        assert line.audited()["minutes"] < 3
        line.correct(folded(log, HORIZON_MS).corrections)
        line.beat(max(record.log_time for record in log) + 1)
        until(lambda: line.audited_to(LAST_MS), "the audit of all minutes")
    line.stored_all()
    assert causes(line) == {}
    assert differ({key: facts(row) for key, row in folded(log).rows().items()}, line.rows()) == []


def test_control_judged_at_first_sight_they_would_be(line: Line, monkeypatch):
    monkeypatch.setattr(Closing, "_settled", lambda *_: True)
    corrections_on_the_way(line)
    with line.worker_here():
        until(lambda: line.audited_to(LAST_MS), "the audit of all minutes")
    assert causes(line)


def test_minutes_that_retention_has_begun_to_remove_are_passed_over(line: Line):
    log = renumbered(quick_log(24))
    rows = folded(log).rows()
    line.sink()
    line.publish(rows.values())
    line.hold(log, CLOSED_MS)
    edge = MINUTE_MS + 60_000
    line.raw.insert("raw_edge", [[edge, 0]], column_names=["before_ms", "written_ms"])
    line.raw.command(f"delete from reading where ts < {edge}", settings={"mutations_sync": 2})
    line.audit_from(MINUTE_MS - 600_000)
    line.beat(CLOSED_MS)
    line.stored_all()  # every row is there when the worker looks for the first time
    line.worker()
    until(lambda: line.audited_to(LAST_MS), "the audit of all minutes")
    assert causes(line) == {}
    assert line.audited()["minutes"] == 1 + 2
    assert differ({key: facts(row) for key, row in rows.items()}, line.rows()) == []
