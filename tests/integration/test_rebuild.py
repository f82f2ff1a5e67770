"""A rebuild in the middle of a log that never rests: no reader sees a row go back, and the rows are the reference's."""

import time
import uuid
from contextlib import ExitStack

import pytest

from connectors.sinks.postgres import PostgresSink
from connectors.sinks.valkey import ValkeySink
from headwater.model.errors import StackError
from headwater.model.fleet import is_fleet
from headwater.model.pack import PANE_MS
from headwater.model.settings import JobSettings, PulseSettings, Settings, SinkSettings
from headwater.stack import flink as flink_server
from headwater.stack import jars, jobs, kept, snapshots, topics
from headwater.stack import kafka as kafka_server
from headwater.stack.foreground import running
from headwater.stack.record import record
from headwater.stack.state import State
from headwater.workers.pulse import Pulse
from tests.integration import rebuilding as parts
from tests.integration.sinks import fresh_database
from tests.integration.stores.postgres import PostgresStore
from tests.integration.stores.valkey import ValkeyStore

NAME = "aggregation"
HORIZON_MS = 30_000
CAP, LESS = 32, 3
"""Most stamps of a pack, before and after the query is changed: then larger packs are refused, and rows count less."""

pytestmark = pytest.mark.timeout(1_500)


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory):
    """A Kafka of this module alone: its log is read from the beginning, many times."""
    state = State.open(tmp_path_factory.mktemp("rebuild-kafka"), {"HEADWATER_PORTS": "free"})
    jars.ensure(state.folder, "kafka")
    kafka_server.prepare(state)
    with running(kafka_server.program(state), state.folder / "logs"):
        topics.create_all(Settings(_env_file=None, kafka=state.url("kafka")))
        yield state.url("kafka")


@pytest.fixture(scope="module")
def cluster(bootstrap, tmp_path_factory):
    """A session cluster; the state of the stack that it is of."""
    folder = tmp_path_factory.mktemp("rebuild")
    state = State.open(folder, {"HEADWATER_PORTS": "free", "HEADWATER_KAFKA": bootstrap})
    jars.ensure(state.folder, "flink")
    flink_server.prepare(state)
    logs = state.folder / "logs"
    with running(flink_server.jobmanager(state), logs), running(flink_server.taskmanager(state), logs):
        yield state


@pytest.fixture
def given(monkeypatch):
    """Settings of the job, here and in the process that submits it."""

    def give(state, **names):
        for name, value in names.items():
            monkeypatch.setenv(f"HEADWATER_{name.upper()}", str(value))
        return kept.keeper(state, NAME, JobSettings(_env_file=state.folder / "run.env"))

    return give


def until(condition, what, seconds=240):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.3)
    return found


def caught_up(keeper):
    return until(lambda: (said := keeper.look()).startswith("caught up") and said, "the job catches up")


def checkpoint(keeper):
    """The next snapshot of the job that runs."""
    live = until(lambda: [job for job in keeper.cluster.live(NAME) if job.healthy], "the job runs")
    until(lambda: snapshots.of_jobs(keeper.state, [live[0].id]), "its first checkpoint")
    assert "submitted" not in keeper.look()
    return live[0].id


def test_no_reader_sees_a_row_go_back(cluster, bootstrap, postgres, valkey, given):
    tenant = f"r{uuid.uuid4().hex[:8]}"
    store, latest = PostgresStore(fresh_database(postgres)), ValkeyStore(valkey)
    sinks = SinkSettings(
        _env_file=None, kafka=bootstrap, postgres=store.url, valkey=valkey, sink_coalesce_ms=0, sink_rollup_ms=500
    )
    in_postgres, live, control = {}, {}, {}
    base = {"ahead_ms": 10_000, "parallelism": 1, "mini_batch_ms": 10}
    with ExitStack() as stack:
        for work in (
            Pulse(PulseSettings(_env_file=None, kafka=bootstrap)).run,
            parts.sinking(PostgresSink(sinks), sinks),
            parts.sinking(ValkeySink(sinks), sinks),
            parts.watching_postgres(store.url, tenant, in_postgres),
            parts.watching_live(bootstrap, tenant, live),
            parts.watching_live(bootstrap, tenant, control, hold=False),
        ):
            stack.enter_context(parts.beside(work))
        with parts.beside(parts.Load(bootstrap, tenant, 11, 20_000).run):
            keeper = given(cluster, horizon_ms=HORIZON_MS, **base)
            assert "from the beginning" in keeper.look()
            first = checkpoint(keeper)
            time.sleep(20)

            # The same query, at once: the partials are hidden by their count.
            assert "a rebuild: empty state" in jobs.rebuild(keeper, changed=False)
            assert caught_up(keeper) == "caught up"
            assert checkpoint(keeper) != first

            # New code of the same plan goes on from the state; that of another plan is refused, and nothing stops.
            assert "from savepoint-" in jobs.upgrade(keeper)
            running_now = checkpoint(keeper)
            changed = given(cluster, horizon_ms=HORIZON_MS, pack_cap=LESS, **base)
            with pytest.raises(StackError, match="plan of aggregation has changed"):
                jobs.upgrade(changed)
            assert [job.id for job in changed.cluster.live(NAME)] == [running_now]

            # An outage that is longer than the state lives.
            short = given(cluster, horizon_ms=HORIZON_MS, outage_ms=1_000, pack_cap=CAP, **base)
            jobs.stop(cluster, NAME, wanted=True)
            time.sleep(12)
            assert "s old: empty state, rewound" in until(short.look, "it is submitted")
            assert caught_up(short) == "caught up"
            time.sleep(10)

            # Another query: rows may shrink, once, to what the new query counts.
            changed = given(cluster, horizon_ms=HORIZON_MS, outage_ms=900_000, pack_cap=LESS, **base)
            assert "a higher generation" in jobs.rebuild(changed, changed=False)
            with record(cluster, NAME) as known:
                begun, generations = known.rebuild, known.generations
            assert begun.raised == generations[-1][1] == 1_000
            assert caught_up(changed) == "caught up; generation 1000 is shown"
            time.sleep(15)
        log, registry = parts.whole_log(bootstrap, tenant), parts.whole_registry(bootstrap, tenant)
        old, new = (parts.folded(log, registry, HORIZON_MS, cap) for cap in (CAP, LESS))
        assert {key[1] for key in new if is_fleet(key[1])} == {"_site/north", "_site/south", "_model/m"}
        assert sum(new.values()) < sum(old.values()), "the changed query must count less"
        theirs = {key: count for key, count in new.items() if key[3] >= begun.from_pane}

        def rows():
            found = store.rows(tenant)
            return {(tenant, *key): (generation, count) for key, (generation, count, _) in found.items()}

        until(lambda: theirs.items() <= {key: count for key, (_, count) in rows().items()}.items(), "the new rows")
        final = rows()
        newest = max(key[3] for key in new)
        until(
            lambda: (
                {pane for _, _, pane in latest.rows(tenant)} == {newest}
                and all(count == new[tenant, *key] for key, (_, count, _) in latest.rows(tenant).items())
            ),
            "the latest values of the new query",
        )

    assert final.keys() == old.keys()
    assert {final[key][0] for key in theirs} == {1_000}
    # What was closed long before keeps its rows; what was closing when the query changed lies in between.
    for key, (generation, count) in final.items():
        if key[3] < begun.from_pane:
            assert generation == 1
            assert new.get(key, 0) <= count <= old[key]
        if key[3] + PANE_MS + HORIZON_MS < begun.from_pane:
            assert count == old[key]
    # A count shrinks only to what the new query counts of all that had come when the rebuild began.
    then = parts.folded(log, registry, HORIZON_MS, LESS, begun.ends)
    for seen in (in_postgres, live):
        found = parts.drops(seen)
        assert all(generation == 1_000 and count >= then.get(key, 0) for key, _, (generation, count) in found), found[
            :3
        ]
    assert parts.drops(live), "some rows must shrink, or the test proves nothing"
    # The control: a live core that holds nothing back shows partials.
    partials = [one for one in parts.drops(control) if one[2][1] < then.get(one[0], 0)]
    assert partials, "without the hold partials must be seen"
    assert store.query("select count(*) from held_10s") == [(0,)]
