"""A job that is rewound leaves alone the rows of which it does not see everything."""

from headwater.model.codec import VERSION
from headwater.model.pack import PANE_MS, Pack
from headwater.truth.reference import Record
from jobs import aggregation
from jobs.environment import open_tables, options
from jobs.statements import Log
from tests.flink.harness import HORIZON_MS, Lab, by_version

PANE = 1_760_000_000_000
FROM_MS = PANE + 40_000
AHEAD_MS = 20_000


def record(offset: int, pane: int, log_time: int, value: float) -> Record:
    metrics = {"a": [value, value]}
    pack = Pack(v=VERSION, tenant="t", device="d", pane=pane, at=[1, 2], metrics=metrics, received=0)
    return Record(pack, 0, offset, log_time)


def rewound(lab: Lab, name: str, from_ms: int | None):
    prefix = lab.make_topics(name)
    whole = PANE + 60_000
    log = [
        record(0, PANE, PANE + 11_000, 1.0),
        record(1, PANE, PANE + 45_000, 1_000.0),
        record(2, whole, FROM_MS + 1, 2.0),
        record(3, whole - PANE_MS, FROM_MS + 2, 3.0),
        record(4, PANE, PANE + PANE_MS + HORIZON_MS + 1, 1.0),
    ]
    lab.produce(prefix, log)
    settings = lab.settings(ahead_ms=AHEAD_MS)
    target = {"execution.target": "remote", "rest.address": "127.0.0.1", "rest.port": lab.rest_port}
    tables = open_tables({**options(settings), **target})
    job = aggregation.build(tables, settings, Log(prefix, from_ms, bounded=True)).execute().get_job_client()
    job.get_job_execution_result().result()
    rows = {row.pane - PANE: (row.count, row.sum) for row in by_version(lab.upserts(prefix)).values()}
    return rows, [one.offset for one in lab.corrections(prefix)]


def test_panes_that_began_before_the_rewind_are_passed_over_and_what_is_late_is_still_named(lab: Lab):
    # A later copy of the first pane lies behind the rewind: as a row it would have the version of the whole one.
    assert rewound(lab, "rewound", FROM_MS) == ({60_000: (2, 4.0)}, [4])


def test_a_job_that_sees_the_whole_log_passes_over_nothing(lab: Lab):
    assert rewound(lab, "whole", None) == ({0: (2, 2.0), 50_000: (2, 6.0), 60_000: (2, 4.0)}, [4])
