"""The audit on real stores: a clean history balances, and each thing that is taken away or added is found and named."""

from typing import Any

import msgspec
import pytest

from headwater.cli.audit import described
from headwater.model.codec import device_key, encode
from headwater.model.pack import PANE_MS, DeadLetter, Pack
from headwater.model.topics import CORRECTIONS, DEAD_LETTER, RAW
from headwater.raw.client import connect_to
from headwater.truth.logs import START_MS
from tests.integration.audit_history import END_MS, History, beat, filled, marked, new_history


@pytest.fixture
def empty(kafka: str, postgres: str, clickhouse: str) -> History:
    return new_history(kafka, postgres, clickhouse)


@pytest.fixture
def history(empty: History) -> History:
    return filled(empty)


def test_a_clean_history_balances_and_its_result_is_kept(history):
    report = history.audit()
    assert (report.state, report.gaps, report.waiting) == ("balanced", [], [])
    assert report.total("readings") > 1_000
    assert report.total("duplicates") > 100
    assert report.total("others") > 50
    assert report.messages == report.records > 100
    first = report.total("readings") - report.total("duplicates")
    assert history.database.query("select sum(count) from aggregate_10s") == [(first,)]
    [(state, readings)] = history.database.query("select state, readings from audit_result")
    assert (state, readings) == ("balanced", report.total("readings"))


def test_every_part_of_a_clean_history_balances(history):
    # First copies of what is read here lie before the range; late packs touch panes that are older than what is read.
    for begin in range(0, 300_000, 20_000):
        report = history.audit(from_ms=START_MS + begin, to_ms=START_MS + begin + 20_000)
        assert (report.state, report.gaps) == ("balanced", []), begin


def test_a_lost_row_is_found_with_its_minute_device_and_offsets(history):
    [(device, metric, count)] = history.database.query(
        "delete from aggregate_10s where (tenant, device, metric, pane) ="
        " (select tenant, device, metric, pane from aggregate_10s order by pane, device, metric limit 1)"
        " returning device, metric, count"
    )
    report = history.audit()
    [gap] = report.gaps
    assert report.state == "gap"
    assert (gap.store, gap.tenant, gap.device, gap.metric) == ("aggregates", "t1", device, metric)
    assert (gap.expected, gap.found) == (count, 0)
    assert gap.offsets
    assert gap.minutes[0] >= START_MS - START_MS % 60_000
    assert report.minutes["t1", gap.minutes[0]].gaps == 1
    assert f"t1/{device}" in described(gap)


def test_a_row_that_counts_too_much_is_found(history):
    history.database.query(
        "update aggregate_10s set count = count + 1 where (tenant, device, metric, pane) ="
        " (select tenant, device, metric, pane from aggregate_10s order by pane desc, device, metric limit 1)"
        " returning 1"
    )
    [gap] = history.audit().gaps
    assert (gap.store, gap.found - gap.expected) == ("aggregates", 1)


def test_a_row_that_no_reading_stands_behind_is_found(history):
    history.database.query(
        "insert into aggregate_10s select tenant, 'ghost', metric, pane, generation, count, sum, sum_sq, min, max,"
        " first_ms, last_ms, last, as_of, received, dup from aggregate_10s order by pane desc limit 1 returning 1"
    )
    [gap] = history.audit().gaps
    assert (gap.store, gap.device, gap.expected) == ("aggregates", "ghost", 0)


def test_a_reading_that_the_raw_store_lost_is_found_with_its_very_offset(history):
    client = connect_to(history.raw_url)
    device, metric, ts, partition, offset = client.query(
        "select device, metric, ts, log_partition, log_offset from reading final where kind = 'number'"
        " order by ts desc limit 1"
    ).result_rows[0]
    history.raw_command(
        f"alter table reading delete where device = '{device}' and metric = '{metric}' and ts = {ts}"
        " settings mutations_sync = 2"
    )
    client.close()
    [gap] = history.audit().gaps
    assert (gap.store, gap.device, gap.metric, gap.partition, gap.offsets) == (
        "raw",
        device,
        metric,
        partition,
        [offset],
    )
    assert gap.expected - gap.found == 1


def test_a_text_that_the_raw_store_lost_is_found(history):
    history.raw_command("alter table reading delete where kind = 'text' settings mutations_sync = 2")
    gaps = history.audit().gaps
    assert gaps
    assert {(gap.store, gap.kind, gap.metric) for gap in gaps} == {("raw", 1, "state")}


PACK = Pack(v=1, tenant="t1", device="d", pane=START_MS, at=[1, 2], metrics={"a": [1.0, 2.0]})
KEY = device_key("t1", "d")


def sent(parts: list[tuple[int, list[tuple[str, bytes]]]]) -> list[tuple[int, int, bytes, bytes, list[Any]]]:
    """A record for each (seconds, headers), of a pane of its own."""
    return [
        (
            0,
            START_MS + 1_000 * second,
            KEY,
            encode(msgspec.structs.replace(PACK, pane=START_MS + number * PANE_MS)),
            headers,
        )
        for number, (second, headers) in enumerate(parts)
    ]


def test_a_message_of_which_a_part_is_missing_is_found(empty):
    empty.append(sent([(1, marked(1, 0, 3)), (1, marked(1, 2, 3)), (2, marked(2)), (20, marked(3))]), RAW.name)
    empty.append(beat(END_MS), RAW.name)
    empty.store()
    [gap] = empty.audit().gaps
    assert (gap.store, gap.tenant, gap.device, gap.expected, gap.found) == ("messages", "t1", "d", 3, 2)
    assert gap.offsets == [0, 1]


def test_a_part_may_be_a_dead_letter_and_a_second_delivery_completes_the_first(empty):
    parts = [(1, marked(1, 0, 2)), (1, marked(2, 0, 2)), (5, marked(2, 0, 2)), (5, marked(2, 1, 2)), (20, marked(3))]
    empty.append(sent(parts), RAW.name)
    letter = DeadLetter(
        v=1, reason="bad-type", detail="", topic="", tenant="t1", device="d", door="mqtt", received=0, payload=""
    )
    empty.append([(0, START_MS + 1_000, KEY, encode(letter), marked(1, 1, 2))], DEAD_LETTER.name)
    empty.append(beat(END_MS), RAW.name)
    empty.store()
    report = empty.audit()
    assert (report.state, report.gaps) == ("balanced", [])
    assert (report.records, report.letters, report.messages) == (5, 1, 3)


def test_a_message_whose_door_was_killed_in_the_middle_is_no_gap_before_the_door_is_back(empty):
    empty.append([*sent([(1, marked(1)), (2, marked(2, 0, 2))]), *beat(END_MS)], RAW.name)
    empty.store()
    assert empty.audit().state == "balanced"


def test_records_without_a_header_are_counted_and_belong_to_no_message(empty):
    empty.append([*sent([(1, []), (2, []), (3, marked(1))]), *beat(END_MS)], RAW.name)
    empty.store()
    report = empty.audit()
    assert (report.state, report.records, report.unmarked, report.messages) == ("balanced", 3, 2, 1)


def test_a_bad_record_needs_its_dead_letter(empty):
    bad = encode(msgspec.structs.replace(PACK, at=[2, 1]))
    empty.append([(0, START_MS + 1_000, KEY, bad, []), (0, START_MS + 2_000, KEY, b"{", []), *beat(END_MS)], RAW.name)
    empty.store()
    report = empty.audit()
    [gap] = report.gaps
    assert (gap.store, gap.partition, gap.offsets, report.unreadable) == ("dead-letter", 0, [0], 1)
    letter = DeadLetter(
        v=1,
        reason="bad-record",
        detail="expected at strictly ascending in partition 0, offset 0: write",
        topic=empty.prefix + RAW.name,
        tenant="t1",
        device="d",
        door="aggregation",
        received=0,
        payload="",
    )
    empty.append([(0, START_MS + 1_000, KEY, encode(letter), [])], DEAD_LETTER.name)
    assert empty.audit().state == "balanced"


def test_stores_that_are_behind_delay_the_audit_and_raise_no_alarm(history):
    later = [(number, END_MS + 600_000, *one[2:]) for number, one in enumerate(beat(END_MS))]
    late = (0, END_MS + 500_000, KEY, encode(msgspec.structs.replace(PACK, pane=START_MS + 3_600_000)), [])
    history.append([late, *later], RAW.name)
    report = history.audit(wait_s=0)
    assert (report.state, report.behind, report.gaps) == ("waiting", True, [])
    assert report.to_ms <= END_MS + 1


def test_a_late_reading_whose_correction_is_not_done_waits_and_is_no_gap(history):
    [(device, metric, pane)] = history.database.query(
        "select device, metric, (extract(epoch from pane) * 1000)::bigint from aggregate_10s order by pane desc limit 1"
    )
    late = Pack(v=1, tenant="t1", device=device, pane=pane, at=[9_999], metrics={metric: [1.0]})
    history.append([(0, END_MS, device_key("t1", device), encode(late), []), *beat(END_MS + 60_000)], RAW.name)
    history.store()
    history.database.query(
        "update aggregate_10s set count = count - 1"
        " where device = %s and metric = %s and pane = to_timestamp(%s / 1000) returning 1",
        device,
        metric,
        pane,
    )
    history.append([(0, END_MS, KEY, b"{}", [])], CORRECTIONS.name)
    history.database.query("update log_time set log_time = %s returning 1", END_MS + 60_000)
    report = history.audit(from_ms=END_MS - 1, wait_s=1)
    assert (report.state, report.gaps) == ("waiting", [])
    [gap] = report.waiting
    assert (gap.device, gap.metric, gap.late, gap.expected - gap.found) == (device, metric, True, 1)
