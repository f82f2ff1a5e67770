"""What the job does with single records: broken ones, old ones, ones without numbers, and ones that Kafka stamped."""

import base64
import json
import re
import time
from pathlib import Path

from headwater.model import topics
from headwater.model.codec import decode
from headwater.model.pack import PANE_MS, DeadLetter, Pack, pane_of
from headwater.truth.reference import Record, Reference, compare
from tests.flink.harness import HORIZON_MS, Lab, by_version, wait_until

STORED = Path(__file__).parents[1] / "records" / "raw-v1.json"
PANE = 1_760_000_000_000
LOG_TIME = PANE + 5_000

SOUND = {"v": 1, "tenant": "t", "device": "d", "pane": PANE, "at": [1, 5], "metrics": {"a": [1.0, 2.0]}}
MANY = {f"m{i:02d}": [1.0, 2.0] for i in range(12)}

BROKEN = {
    "schema version 2": {"v": 2},
    "no schema version": {"v": None},
    "no tenant": {"tenant": None},
    "no device": {"device": None},
    "no pane": {"pane": None},
    "a pane off the grid": {"pane": PANE + 1},
    "a pane before 1970": {"pane": -PANE_MS},
    "a pane that would wrap": {"pane": 9_223_372_036_854_770_000},
    "no at": {"at": None},
    "an empty at": {"at": [], "metrics": {"a": []}},
    "more than the cap": {"at": list(range(33)), "metrics": {"a": [1.0] * 33}},
    "an unsorted at": {"at": [5, 1]},
    "a repeated stamp": {"at": [5, 5]},
    "a null stamp": {"at": [5, None]},
    "a null first stamp": {"at": [None, 5]},
    "a stamp before the pane": {"at": [-1, 5]},
    "a stamp past the pane": {"at": [5, 10_000]},
    "a negative last stamp": {"at": [5, -1]},
    "a stamp that is no number": {"at": ["x", 5]},
    "a short list": {"metrics": {"a": [1.0]}},
    "a long list": {"metrics": {"a": [1.0, 2.0, 3.0]}},
    "a ragged second list": {"metrics": {"a": [1.0, 2.0], "b": [1.0]}},
    "a ragged twelfth list": {"metrics": {**MANY, "m11": [1.0]}},
    "a null list": {"metrics": {"a": None}},
    "a null twelfth list": {"metrics": {**MANY, "m11": None}},
    "a null value": {"metrics": {"a": [1.0, None]}},
    "a null value in the twelfth list": {"metrics": {**MANY, "m11": [1.0, None]}},
    "a text among the values": {"metrics": {"a": [1.0, "warm"]}},
    "an infinity": {"metrics": {"a": ["Infinity", 1.0]}},
    "a negative infinity in the twelfth list": {"metrics": {**MANY, "m11": [1.0, "-Infinity"]}},
    "NaN first": {"metrics": {"a": ["NaN", 1.0]}},
    "NaN last": {"metrics": {"a": [1.0, "NaN"]}},
    "NaN in the twelfth list": {"metrics": {**MANY, "m11": [1.0, "NaN"]}},
    "a value whose square is no number": {"metrics": {"a": [1e200, 1.0]}},
    "a negative one in the twelfth list": {"metrics": {**MANY, "m11": [1.0, -1e101]}},
    **{f"a ragged list m{i:02d} of twelve": {"metrics": {**MANY, f"m{i:02d}": [1.0]}} for i in range(12)},
    **{f"a long list m{i:02d} of twelve": {"metrics": {**MANY, f"m{i:02d}": [1.0, 2.0, 3.0]}} for i in range(12)},
    "no reading at all": {"metrics": {}},
}


def bytes_of(change: dict) -> bytes:
    return json.dumps({**SOUND, **change}).encode()


# Flink's JSON format passes over these and says nothing; doors never write them, and an audit of offsets finds them.
UNREADABLE = [
    b"",
    b"no json",
    b"\xff\xfe",
    b"[1]",
    b'"text"',
    b'{"v":1,"tenant":"t"',
    b"null",
    bytes_of({"metrics": [1.0, 2.0]}),
]


def test_broken_records_become_dead_letters_and_never_a_sum(lab: Lab):
    prefix = lab.make_topics("broken")
    good = ({}, {"metrics": MANY}, {"metrics": {"a": [1e99, -1e-300]}}, {"at": [0, 9_999]})
    sound = [decode(Pack, bytes_of({**change, "device": f"good{i}"})) for i, change in enumerate(good)]
    log = [Record(pack, 0, i, LOG_TIME) for i, pack in enumerate(sound)]
    lab.produce(prefix, log[:1])
    lab.produce_bytes(prefix, [bytes_of(change) for change in BROKEN.values()], LOG_TIME)
    lab.produce_bytes(prefix, UNREADABLE, LOG_TIME)
    lab.produce(prefix, log[1:])
    lab.run_bounded(prefix, lab.settings())
    letters = {int(re.findall(r", offset (\d+)", letter.detail)[0]): letter for letter in letters_of(lab, prefix)}
    missed = [name for offset, name in enumerate(BROKEN, 1) if offset not in letters]
    assert not missed, f"not refused: {missed}"
    assert len(letters) == len(BROKEN)
    assert {letter.reason for letter in letters.values()} == {"bad-record"}
    reference = Reference(HORIZON_MS)
    for record in log:
        reference.take(record)
    assert compare(reference.rows(), by_version(lab.upserts(prefix))) == ([], [], [])
    assert lab.corrections(prefix) == []


def letters_of(lab: Lab, prefix: str) -> list[DeadLetter]:
    return lab.records(DeadLetter, prefix, topics.DEAD_LETTER)


def test_a_dead_letter_says_where_the_record_lies_and_holds_what_could_be_read(lab: Lab):
    prefix = lab.make_topics("letter")
    lab.produce_bytes(prefix, [bytes_of({}), bytes_of({"at": [5, 1]})], LOG_TIME, partition=1)
    lab.run_bounded(prefix, lab.settings())
    [letter] = letters_of(lab, prefix)
    assert (letter.tenant, letter.device, letter.door) == ("t", "d", "aggregation")
    assert "partition 1, offset 1" in letter.detail
    held = json.loads(base64.b64decode(letter.payload))
    assert held == {**SOUND, "at": [5, 1], "texts": None, "flags": None, "received": 0}
    [message] = lab.read(prefix + topics.DEAD_LETTER.name)
    assert message.key() == b"t/d"
    assert message.timestamp()[1] == LOG_TIME


def test_a_stored_record_of_version_1_is_read(lab: Lab):
    prefix = lab.make_topics("stored")
    stored = STORED.read_bytes().strip()
    lab.produce_bytes(prefix, [stored], LOG_TIME)
    lab.run_bounded(prefix, lab.settings(generation=7))
    rows = {row.metric: row for row in lab.upserts(prefix)}
    warm = rows["temperature"]
    assert set(rows) == {"humidity", "temperature"}
    assert (warm.count, warm.sum, warm.min, warm.max, warm.last) == (3, 39.75, -3.0, 21.5, -3.0)
    assert (warm.first_ms, warm.last_ms) == (PANE, PANE + 9_999)
    assert (warm.as_of, warm.received, warm.generation, warm.dup) == (LOG_TIME, 1_760_000_009_999, 7, 0)
    stamps = {message.timestamp()[1] for message in lab.read(prefix + topics.PROCESSED.name)}
    assert stamps == {LOG_TIME}


def test_a_pack_of_texts_alone_gives_no_row_no_correction_and_no_dead_letter(lab: Lab):
    prefix = lab.make_topics("texts")
    text = {"metrics": {}, "texts": {"state": ["on", "off"]}}
    without = {key: value for key, value in {**SOUND, **text}.items() if key != "metrics"}
    lab.produce_bytes(prefix, [bytes_of(text), json.dumps(without).encode()], LOG_TIME)
    lab.produce_bytes(prefix, [bytes_of(text)], LOG_TIME + 10 * HORIZON_MS)
    lab.run_bounded(prefix, lab.settings())
    assert (lab.upserts(prefix), lab.corrections(prefix), letters_of(lab, prefix)) == ([], [], [])


def test_log_time_is_the_brokers_stamp_where_the_broker_stamps(lab: Lab):
    prefix = lab.make_topics("stamped", topics.Stamp.BROKER)
    job = lab.start(prefix, lab.settings())
    now = pane_of(time.time_ns() // 1_000_000)
    for ago in (0, 0, PANE_MS, 3 * HORIZON_MS):
        pack = {"pane": now - ago, "received": 5}
        # What a producer says counts for nothing here: the broker sets its own stamp.
        lab.produce_bytes(prefix, [bytes_of(pack)], LOG_TIME)
    raw = sorted(lab.read(prefix + topics.RAW.name), key=lambda message: message.offset())
    reference = Reference(HORIZON_MS)
    for message in raw:
        pack = decode(Pack, message.value())
        reference.take(Record(pack, message.partition(), message.offset(), message.timestamp()[1]))
    assert [one.offset for one in reference.corrections] == [3]
    lab.beat(prefix, LOG_TIME)
    wait_until(lambda: not any(compare(reference.rows(), by_version(lab.upserts(prefix)))), "the rows")
    wait_until(lambda: lab.corrections(prefix) == reference.corrections, "the correction")
    job.cancel().result()
    assert by_version(lab.upserts(prefix))["t", "d", "a", now].dup == 2
