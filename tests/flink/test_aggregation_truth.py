"""Random logs through the real SQL: the same rows as the plain reference, live, replayed, and after a restart.

The registry changes while the logs are written: rows of sites and models are compared like those of devices.
"""

import time
from collections import defaultdict

import pytest

from headwater.model import topics
from headwater.model.fleet import is_fleet
from headwater.model.pack import PANE_MS, Aggregate
from headwater.truth.logs import LogShape, random_log
from headwater.truth.reference import Key, Record, Reference, compare
from headwater.truth.registries import Said, random_registry, registry_of
from jobs import statements
from tests.flink.harness import HORIZON_MS, Lab, by_version, savepoint, wait_until

SEEDS = range(1, 21)


def joined(logs: list[list[Record]]) -> list[Record]:
    """Several logs in one, by log time, with offsets as Kafka will give them."""
    offsets: dict[int, int] = {}
    result = []
    for record in sorted((one for log in logs for one in log), key=lambda record: record.log_time):
        offset = offsets.get(record.partition, 0)
        offsets[record.partition] = offset + 1
        result.append(record._replace(offset=offset))
    return result


def shape(seed: int) -> LogShape:
    return LogShape(tenant=f"s{seed:02d}", devices=3, seconds=45, hz=(1.0, 3.0, 9.0)[seed % 3], horizon_ms=HORIZON_MS)


def folded(log: list[Record], said: list[Said]) -> Reference:
    reference = Reference(HORIZON_MS, registry=registry_of(said))
    for record in log:
        reference.take(record)
    return reference


@pytest.fixture(scope="module")
def log() -> list[Record]:
    return joined([random_log(seed, shape(seed), with_pulses=seed == 1) for seed in SEEDS])


@pytest.fixture(scope="module")
def said(log: list[Record]) -> list[Said]:
    return random_registry(1, log)


@pytest.fixture(scope="module")
def reference(log: list[Record], said: list[Said]) -> Reference:
    return folded(log, said)


def assert_rows(expected: dict[Key, Aggregate], got: dict[Key, Aggregate]) -> None:
    missing, extra, different = compare(expected, got)
    counts = f"{len(missing)} missing, {len(extra)} extra, {len(different)} different of {len(expected)}"
    assert (missing[:3], extra[:3], different[:3]) == ([], [], []), counts


def assert_prefix_states(log: list[Record], final: dict[Key, Aggregate], upserts: list[Aggregate]) -> None:
    """Every row on the way is a state of the log, and its version never falls.

    Where packs of two metric sets, or of several devices, feed one row, they may overtake each other on the way to it:
    such a row is held to its bounds alone.
    """
    reference = Reference(HORIZON_MS)
    states: dict[Key, dict[int, Aggregate]] = defaultdict(dict)
    sets: dict[Key, set[tuple[str, ...]]] = defaultdict(set)
    for record in log:
        for row in reference.take(record):
            states[row.key][row.count + row.dup] = row
            sets[row.key].add(tuple(record.pack.metrics))
    newest, exact = defaultdict(int), 0
    for row in upserts:
        assert newest[row.key] <= row.count <= final[row.key].count
        newest[row.key] = row.count
        if len(sets[row.key]) == 1:
            exact += 1
            assert_rows({row.key: states[row.key][row.count + row.dup]}, {row.key: row})
    assert exact > len(upserts) / 10


def partial_overlaps(log: list[Record]) -> int:
    """Packs of which some stamps are known and some are not."""
    known: dict[tuple[str, ...], set[int]] = defaultdict(set)
    found = 0
    for record in log:
        pack = record.pack
        if record.log_time <= pack.pane + PANE_MS + HORIZON_MS:
            seen = known[pack.tenant, pack.device, *pack.metrics, str(pack.pane)]
            found += 0 < len(seen.intersection(pack.at)) < len(pack.at)
            seen.update(pack.at)
    return found


def moves(log: list[Record], said: list[Said]) -> int:
    """Panes in which a device was at more than one place."""
    registry, places = registry_of(said), defaultdict(set)
    for record in log:
        pack = record.pack
        if record.log_time <= pack.pane + PANE_MS + HORIZON_MS:
            place = registry.at(pack.tenant, pack.device, record.log_time)
            places[pack.tenant, pack.device, pack.pane].add(place)
    return sum(len(each) > 1 for each in places.values())


def named(lab: Lab, prefix: str) -> set[tuple[int, int]]:
    """Positions that the job has named late; a restart names some twice."""
    return {(one.partition, one.offset) for one in lab.corrections(prefix)}


def places(reference: Reference) -> set[tuple[int, int]]:
    return {(one.partition, one.offset) for one in reference.corrections}


def test_the_logs_hold_every_trap(log, said, reference):
    rows = [row for key, row in reference.rows().items() if not is_fleet(key[1])]
    fleets = [row for key, row in reference.rows().items() if is_fleet(key[1])]
    assert sum(row.count for row in fleets) > sum(row.count for row in rows) / 2
    assert len({key[1] for key in reference.series if is_fleet(key[1])}) == 4
    assert moves(log, said) > 50
    assert sum(one.record.deleted for one in said) > 5
    stamps = {(record.pack.device, record.log_time) for record in log}
    assert sum((one.record.device, one.log_time) in stamps for one in said) > 20
    assert sum(row.count for row in rows) > 5_000
    assert sum(row.dup for row in rows) > 1_000
    assert len(reference.corrections) > 50
    assert partial_overlaps(log) > 50
    edge = [record.log_time - record.pack.pane - PANE_MS - HORIZON_MS for record in log]
    assert {-1, 0, 1} <= set(edge)


def test_a_replay_gives_the_rows_of_the_reference(lab: Lab, log, said, reference):
    prefix = lab.make_topics("replay")
    lab.produce(prefix, log)
    lab.say(prefix, said)
    lab.run_bounded(prefix, lab.settings())
    upserts = lab.upserts(prefix)
    assert_rows(reference.rows(), by_version(upserts))
    assert_prefix_states(log, reference.rows(), upserts)
    assert lab.corrections(prefix) == sorted(reference.corrections, key=lambda one: (one.partition, one.offset))


def test_live_gives_the_rows_of_the_reference_and_every_row_on_the_way_is_a_state_of_the_log(
    lab: Lab, log, said, reference
):
    prefix = lab.make_topics("live")
    job = lab.start(prefix, lab.settings(mini_batch_ms=50))
    told = 0
    for begin in range(0, len(log), 200):
        now = log[min(begin + 199, len(log) - 1)].log_time
        lab.produce(prefix, log[begin : begin + 200])
        more = told + sum(one.log_time <= now for one in said[told:])
        lab.say(prefix, said[told:more])
        told = more
        lab.beat(prefix, now, topics.DEVICE_REGISTRY)
        wait_until(lambda: lab.upserts(prefix), "the job is at work")  # else the log would be there before it
        time.sleep(0.1)
    lab.beat(prefix, log[-1].log_time + HORIZON_MS)
    expected = reference.rows()
    wait_until(lambda: not any(compare(expected, by_version(lab.upserts(prefix)))), "the rows of the reference")
    wait_until(lambda: named(lab, prefix) >= places(reference), "every correction")
    job.cancel().result()
    upserts = lab.upserts(prefix)
    assert len(upserts) > 1.2 * len(expected), "rows are to be published more than once"
    assert_rows(expected, by_version(upserts))
    assert_prefix_states(log, expected, upserts)
    assert lab.corrections(prefix) == sorted(reference.corrections, key=lambda one: (one.partition, one.offset))


def test_a_restart_from_an_older_savepoint_gives_the_same_rows_on_rocksdb(lab: Lab, log, said, reference, tmp_path):
    prefix, half = lab.make_topics("restart"), len(log) // 2
    first = sum(one.log_time <= log[half].log_time for one in said)
    rocksdb = {"state__backend__type": "rocksdb", "execution__checkpointing__incremental": "true"}
    job = lab.start(prefix, lab.settings(), **rocksdb)
    lab.say(prefix, said[:first])
    lab.produce(prefix, log[:half])
    lab.beat(prefix, log[half].log_time, topics.DEVICE_REGISTRY)
    wait_until(lambda: len(lab.upserts(prefix)) > 100, "rows of the first half")
    begun = savepoint(job, tmp_path)
    passed = len(lab.upserts(prefix))
    lab.say(prefix, said[first:])
    lab.produce(prefix, log[half : half + half // 2])
    wait_until(lambda: len(lab.upserts(prefix)) > passed + 50, "rows past the savepoint")
    job.cancel().result()
    lab.produce(prefix, log[half + half // 2 :])
    lab.beat(prefix, log[-1].log_time + HORIZON_MS)
    again = lab.start(prefix, lab.settings(), execution__state_recovery__path=begun, **rocksdb)
    expected = reference.rows()
    wait_until(lambda: not any(compare(expected, by_version(lab.upserts(prefix)))), "the rows of the reference")
    wait_until(lambda: named(lab, prefix) >= places(reference), "every correction")
    again.cancel().result()
    assert_rows(expected, by_version(lab.upserts(prefix)))
    assert named(lab, prefix) == places(reference)


def test_without_the_mask_the_rows_differ(lab: Lab, monkeypatch):
    # The control: it shows that the comparison sees a wrong "first" in packs that overlap in part.
    complete = statements.values

    def unmasked(settings, log):
        terms = range(1, settings.pack_cap + 1)
        return {**complete(settings, log), "masked": ", ".join(f"m.vs[{i}]" for i in terms)}

    monkeypatch.setattr(statements, "values", unmasked)
    log = joined([random_log(seed, shape(seed)) for seed in (1, 2, 4)])
    prefix = lab.make_topics("control")
    lab.produce(prefix, log)
    lab.run_bounded(prefix, lab.settings())
    _, _, different = compare(folded(log, []).rows(), by_version(lab.upserts(prefix)))
    assert len(different) > 10
