"""What enriched packs must say, by logs small enough to check in the head."""

import msgspec
import pytest

from headwater.model.codec import device_key
from headwater.model.device import DeviceRecord, MetricOfModel
from headwater.model.pack import Pack
from headwater.model.topics import DEVICE_REGISTRY, RAW
from headwater.truth.alert_logs import Entry
from headwater.truth.enriched import Enriched, Known, known_as
from headwater.truth.enriched_logs import Row, compare, expected, random_log, without_an_edit
from headwater.truth.span import Entry as Stored

KEY = device_key("t", "d")
PACK = Pack(v=1, tenant="t", device="d", pane=0, at=[5], metrics={"a": [1.5]}, texts={"b": ["x"]}, flags={"c": [True]})
METRICS = {"b": MetricOfModel(unit="bar", scale=0.1, low=0.0), "a": MetricOfModel()}
FIRST = DeviceRecord(
    v=1,
    tenant="t",
    device="d",
    version=1,
    changed_ms=0,
    kind="sensor",
    site="north",
    zone="Europe/Vienna",
    model="boiler",
    metrics=METRICS,
    tags=["hot"],
)
MOVED = msgspec.structs.replace(FIRST, version=2, site="south", zone="Africa/Lagos")
GONE = DeviceRecord(v=1, tenant="t", device="d", version=3, changed_ms=0, deleted=True)


def pack_at(now: int, partition: int = 0) -> Entry:
    return Entry(now, RAW, partition, KEY, PACK)


def said_at(now: int, record: DeviceRecord) -> Entry:
    return Entry(now, DEVICE_REGISTRY, 0, KEY, record)


def stored(place: tuple[int, int], row: Row, **changed: object) -> Stored:
    """A row as the job writes it: nothing where there is nothing."""
    known = row.known._asdict()
    columns = {"known_as": known.pop("version"), **known, "log_partition": place[0], "log_offset": place[1]}
    if columns["described"] is not None:
        columns["described"] = dict(columns["described"])
    columns = {name: value for name, value in (columns | changed).items() if value is not None}
    value = msgspec.json.encode(msgspec.to_builtins(row.pack) | msgspec.to_builtins(columns))
    return Stored(0, 0, row.log_time, row.key, (), value)


def test_a_pack_says_the_newest_version_that_is_not_after_it():
    log = [pack_at(9), pack_at(10), said_at(10, FIRST), pack_at(11), said_at(12, MOVED), pack_at(12), pack_at(13)]
    known = [row.known for row in expected(log).values()]
    assert known == [Known(), *[known_as(FIRST)] * 2, *[known_as(MOVED)] * 2]


def test_of_two_versions_of_one_moment_the_later_counts():
    assert expected([said_at(10, FIRST), said_at(10, MOVED), pack_at(10)])[0, 0].known == known_as(MOVED)


def test_a_device_that_is_gone_has_a_version_and_nothing_else():
    assert expected([said_at(1, FIRST), said_at(2, GONE), pack_at(3)])[0, 0].known == Known(
        3, "", tags=(), described=()
    )


def test_places_are_counted_in_each_partition():
    assert list(expected([pack_at(1, 0), pack_at(2, 1), said_at(2, FIRST), pack_at(3, 0)])) == [(0, 0), (1, 0), (0, 1)]


def test_metrics_come_in_any_order_and_without_what_is_null():
    value = b'{"log_partition":0,"log_offset":7,"known_as":1,"kind":"sensor","site":"north","zone":"Europe/Vienna",'
    value += b'"model":"boiler","tags":["hot"],"described":{"a":{"unit":"","scale":1.0,"title":""},'
    value += b'"b":{"unit":"bar","scale":0.1,"low":0.0,"high":null,"title":""}}}'
    found = msgspec.json.decode(value, type=Enriched)
    assert (found.place, found.known) == ((0, 7), known_as(FIRST))


@pytest.mark.parametrize(
    "changed",
    [
        {"known_as": 2},
        {"kind": "gateway"},
        {"site": "south"},
        {"zone": "Africa/Lagos"},
        {"model": "pump"},
        {"tags": ["hot", "old"]},
        {"tags": None},
        {"described": {"b": METRICS["b"]}},
        {"described": {**METRICS, "a": MetricOfModel(scale=2.0)}},
        {"metrics": {"a": [1.25]}},
        {"texts": {}},
        {"received": 4},
    ],
    ids=str,
)
def test_each_column_counts(changed):
    wanted = expected([said_at(1, FIRST), pack_at(2)])
    row = wanted[0, 0]
    assert compare(wanted, [stored((0, 0), row)]).none
    assert compare(wanted, [stored((0, 0), row, **changed)]).wrong == [(0, 0)]


def test_log_time_and_key_count_too():
    wanted = expected([pack_at(2)])
    row = stored((0, 0), wanted[0, 0])
    assert compare(wanted, [row._replace(log_time=3)]).wrong == [(0, 0)]
    assert compare(wanted, [row._replace(key=b"t/e")]).wrong == [(0, 0)]


def test_what_is_missing_too_many_or_twice_is_told_apart():
    wanted = expected([pack_at(1), pack_at(2)])
    one, other = wanted.items()
    found = compare(wanted, [stored(*one), stored(*one), stored((3, 9), other[1])])
    assert (found.missing, found.extra, found.wrong, found.repeats) == ([(0, 1)], [(3, 9)], [], 1)


def test_a_repeat_that_says_something_else_is_wrong():
    wanted = expected([said_at(1, FIRST), pack_at(2)])
    rows = [stored((0, 0), wanted[0, 0]), stored((0, 0), wanted[0, 0], site="south")]
    assert compare(wanted, rows).wrong == [(0, 0)]


def test_a_log_without_one_of_its_edits_is_another():
    log = random_log(5, "t", 2)
    less, tenant, harm = without_an_edit(log)
    assert (len(less), tenant) == (len(log) - 1, "t")
    assert harm == [place for place, row in sorted(expected(log).items()) if expected(less)[place] != row]


def test_a_log_whose_edits_have_no_effect_has_no_control():
    with pytest.raises(ValueError, match="no edit"):
        without_an_edit([pack_at(1), said_at(2, FIRST), said_at(3, MOVED)])
