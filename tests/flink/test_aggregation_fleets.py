"""Rows of sites and models, by hand-made logs: who counts where, from when on, and what a rewound job knows."""

from headwater.model import topics
from headwater.model.codec import VERSION
from headwater.model.device import DeviceRecord
from headwater.model.fleet import is_fleet
from headwater.model.pack import PANE_MS, Pack
from headwater.truth.reference import Record
from headwater.truth.registries import Said
from jobs import aggregation
from jobs.environment import open_tables, options
from jobs.statements import REGISTRY_BEFORE_MS, Log
from tests.flink.harness import HORIZON_MS, Lab, by_version, wait_until

PANE = 1_760_000_000_000
AHEAD_MS = 20_000


def said(device: str, log_time: int, **given) -> Said:
    return Said(DeviceRecord(v=VERSION, tenant="t", device=device, version=1, changed_ms=0, **given), 0, log_time)


def pack(device: str, log_time: int, values: list[float], first: int = 0, pane: int = PANE) -> Record:
    at = list(range(first, first + len(values)))
    made = Pack(v=VERSION, tenant="t", device=device, pane=pane, at=at, metrics={"a": values}, received=0)
    return Record(made, 0, 0, log_time)


def fleets(lab: Lab, prefix: str) -> dict[str, tuple[int, float, float]]:
    """(count, sum, last) of each fleet."""
    rows = by_version(lab.upserts(prefix))
    return {key[1]: (row.count, row.sum, row.last) for key, row in rows.items() if is_fleet(key[1])}


def played(lab: Lab, name: str, registry: list[Said], log: list[Record], from_ms: int | None = None) -> str:
    prefix = lab.make_topics(name)
    lab.say(prefix, registry)
    lab.produce(prefix, log)
    settings = lab.settings(ahead_ms=AHEAD_MS)
    target = {"execution.target": "remote", "rest.address": "127.0.0.1", "rest.port": lab.rest_port}
    tables = open_tables({**options(settings), **target})
    job = aggregation.build(tables, settings, Log(prefix, from_ms, bounded=True)).execute().get_job_client()
    job.get_job_execution_result().result()
    return prefix


def test_a_device_that_moves_in_the_middle_of_a_pane_counts_on_both_sites(lab: Lab):
    registry = [
        said("d", PANE, site="north", model="pump"),
        said("d", PANE + 2_000, site="south", model="pump"),
        said("d", PANE + 3_000, deleted=True),
        said("nowhere", PANE),
    ]
    log = [
        pack("d", PANE - 1, [1.0]),
        pack("d", PANE, [10.0], 1),
        pack("stranger", PANE + 1, [7.0]),
        pack("nowhere", PANE + 1, [7.0]),
        pack("d", PANE + 1_999, [100.0], 2),
        # Of these two stamps one is known: it stays where it was.
        pack("d", PANE + 2_000, [5.0, 1_000.0], 2),
        pack("d", PANE + 3_000, [10_000.0], 4),
    ]
    prefix = played(lab, "moved", registry, log)
    assert fleets(lab, prefix) == {
        "_site/north": (2, 110.0, 100.0),
        "_site/south": (1, 1_000.0, 1_000.0),
        "_model/pump": (3, 1_110.0, 1_000.0),
    }
    rows = {key[1]: row for key, row in by_version(lab.upserts(prefix)).items()}
    assert (rows["d"].count, rows["d"].dup, rows["_site/south"].dup) == (5, 1, 0)
    assert (rows["_site/north"].as_of, rows["_site/south"].as_of) == (PANE + 1_999, PANE + 2_000)


def test_of_one_moment_the_last_value_is_that_of_the_largest_name(lab: Lab):
    names = ("d", "d 2", "d1", "d10", "ü")
    registry = [said(name, PANE, site="s") for name in names]
    log = [pack(name, PANE + 10, [1.0, -1e-300 * number], 5) for number, name in enumerate(reversed(names))]
    assert fleets(lab, played(lab, "ties", registry, log)) == {"_site/s": (10, 5.0, 0.0)}
    log = [pack(name, PANE + 10, [1.5e300 / 1e250 * number], 5) for number, name in enumerate(names[:4])]
    found = fleets(lab, played(lab, "ties", registry, log))["_site/s"]
    assert found[2] == 1.5e300 / 1e250 * 3


def test_a_rewound_job_reads_an_hour_of_the_registry_before_the_log(lab: Lab):
    from_ms = PANE + 40_000
    whole, begun = PANE + 60_000, from_ms - REGISTRY_BEFORE_MS
    registry = [
        said("forgotten", begun - 1, site="s"),
        said("known", begun, site="n"),
        said("known", from_ms - 5, site="s"),
        said("known", from_ms + 5, site="n"),
    ]
    log = [
        pack("known", from_ms + 1, [1.0], pane=whole),
        pack("forgotten", from_ms + 2, [2.0], pane=whole),
        pack("known", from_ms + 6, [4.0], 1, pane=whole),
        pack("known", from_ms + 7, [8.0], pane=whole - PANE_MS),
    ]
    prefix = played(lab, "rewound", registry, log, from_ms)
    assert fleets(lab, prefix) == {"_site/s": (1, 1.0, 1.0), "_site/n": (1, 4.0, 4.0)}


def test_rows_of_devices_come_while_nothing_is_heard_of_the_registry(lab: Lab):
    prefix = lab.make_topics("silent")
    job = lab.start(prefix, lab.settings())
    lab.produce(prefix, [pack("d", PANE + 1, [1.0])])
    lab.beat(prefix, PANE + 10_000, topics.RAW)
    wait_until(lambda: lab.upserts(prefix), "the row of the device")
    assert fleets(lab, prefix) == {}
    lab.say(prefix, [said("d", PANE, site="s")])
    lab.beat(prefix, PANE + HORIZON_MS)
    wait_until(lambda: fleets(lab, prefix) == {"_site/s": (1, 1.0, 1.0)}, "the row of the site")
    job.cancel().result()
