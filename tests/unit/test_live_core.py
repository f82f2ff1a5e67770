"""The live core: whoever leaves and comes back ends where the one ends who never left, with no gap and no repeat."""

import json
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.state import cursor as cursors
from api.state.live import LiveLog
from api.state.rows import Subscription
from api.ws.frames import Frames
from headwater.model.errors import BadRequest
from headwater.model.pack import PULSE_TENANT, Aggregate

PARTITIONS = 3
T0 = 1_790_000_000_000 - 1_790_000_000_000 % 10_000
FLEET = Subscription("demo")


def row(device: str = "a", metric: str = "m", pane: int = 0, count: int = 1, generation: int = 1, **given) -> Aggregate:
    fields = {
        "v": 1,
        "tenant": "demo",
        "sum": float(count),
        "sum_sq": float(count),
        "min": 1.0,
        "max": 1.0,
        "first_ms": T0,
        "last_ms": T0 + count,
        # The generation is not in a frame, so the value says it: a client of the tests checks versions by it.
        "last": float(generation),
        "as_of": T0,
        "received": T0,
    }
    return Aggregate(
        device=device,
        metric=metric,
        pane=T0 + pane * 10_000,
        count=count,
        generation=generation,
        **{**fields, **given},
    )


class Topic:
    """A log: rows by partition, a key always in the same one."""

    def __init__(self) -> None:
        self.partitions: list[list[Aggregate]] = [[] for _ in range(PARTITIONS)]

    def append(self, item: Aggregate) -> tuple[int, int]:
        partition = sum(map(ord, f"{item.device}{item.metric}{item.pane}")) % PARTITIONS
        self.partitions[partition].append(item)
        return partition, len(self.partitions[partition]) - 1


@dataclass
class Viewer:
    """A client: remembers what it was sent, and objects to whatever it had before."""

    wants: Subscription
    seq: int | None = None
    cursor: str | None = None
    rows: dict[tuple, tuple] = field(default_factory=dict)
    snapshots: int = 0
    strict: bool = True

    def come(self, live: LiveLog, frames: Frames) -> None:
        frame = None if self.cursor is None else frames.resume(self.wants, cursors.read(self.cursor))
        self.take(live, frames, frame)

    def tick(self, live: LiveLog, frames: Frames) -> None:
        if self.seq is not None:
            self.take(live, frames, frames.since(self.wants, self.seq))

    def leave(self) -> None:
        self.seq = None

    def take(self, live: LiveLog, frames: Frames, text: str | None) -> None:
        self.seq = live.seq
        if text == "":
            return
        frame = json.loads(frames.snapshot(self.wants) if text is None else text)
        self.cursor = frame["cursor"]
        columns = frame["columns"]
        assert len({len(values) for values in columns.values()}) == 1
        keys = list(zip(columns["device"], columns["metric"], columns["pane"], strict=True))
        versions = list(zip(columns["last"], columns["count"], strict=True))
        assert len(set(keys)) == len(keys), "a frame has one row for each (device, metric, pane)"
        if frame["type"] == "snapshot":
            self.snapshots += 1
            self.rows = dict(zip(keys, versions, strict=True))
            return
        for key, version in zip(keys, versions, strict=True):
            assert not self.strict or version > self.rows.get(key, (0, 0)), "sent twice, or moved backwards"
            self.rows[key] = version

    def newest(self) -> dict[tuple, tuple]:
        """The row of the latest pane of each series."""
        last: dict[tuple, int] = {}
        for device, metric, pane in self.rows:
            last[device, metric] = max(pane, last.get((device, metric), 0))
        return {(*series, pane): self.rows[(*series, pane)] for series, pane in last.items()}


rows_of_the_log = st.builds(
    row,
    device=st.sampled_from("abc"),
    metric=st.sampled_from("mn"),
    pane=st.integers(0, 3),
    count=st.integers(1, 6),
    generation=st.sampled_from([1, 1, 1, 2]),
)
deeds = st.lists(
    st.one_of(
        rows_of_the_log,
        rows_of_the_log,
        st.sampled_from(["tick", "tick", "leave fleet", "come fleet", "leave one", "come one", "restart"]),
    ),
    max_size=80,
)


def play(deeds: list, bound: int, whole: bool) -> tuple[LiveLog, dict[str, Viewer], dict[tuple, tuple]]:
    """Plays the deeds; answers the core, the viewers, and by a plain reading of the rule what each row must be."""
    topic = Topic()
    live = LiveLog(bound, PARTITIONS)
    live.begin(dict.fromkeys(range(PARTITIONS), 0))
    frames = Frames(live)
    viewers = {
        "always fleet": Viewer(FLEET),
        "fleet": Viewer(FLEET),
        "always one": Viewer(Subscription("demo", frozenset("ab"))),
        "one": Viewer(Subscription("demo", frozenset("ab"))),
    }
    for viewer in viewers.values():
        viewer.strict = whole
        viewer.come(live, frames)
    truth: dict[tuple, tuple] = {}
    for deed in deeds:
        if isinstance(deed, Aggregate):
            live.fold(*topic.append(deed), deed)
            key = (deed.device, deed.metric, deed.pane)
            truth[key] = max(truth.get(key, (0, 0)), (float(deed.generation), deed.count))
        elif deed == "restart" and whole:
            live = LiveLog(bound, PARTITIONS)
            live.begin(dict.fromkeys(range(PARTITIONS), 0))
            for partition, kept in enumerate(topic.partitions):
                for offset, item in enumerate(kept):
                    live.fold(partition, offset, item)
            frames = Frames(live)
            for viewer in viewers.values():
                if viewer.seq is not None:
                    viewer.come(live, frames)
        elif deed == "tick":
            live.mark()
            frames.forget()
            for viewer in viewers.values():
                viewer.tick(live, frames)
        elif deed.startswith("leave"):
            viewers[deed.split()[1]].leave()
        elif deed.startswith("come") and viewers[deed.split()[1]].seq is None:
            viewers[deed.split()[1]].come(live, frames)
    live.mark()
    frames.forget()
    for viewer in viewers.values():
        viewer.tick(live, frames) if viewer.seq is not None else viewer.come(live, frames)
    return live, viewers, truth


@given(deeds)
@settings(max_examples=300)
def test_a_client_that_comes_and_goes_ends_like_one_that_never_left_and_sees_nothing_twice(deeds):
    _, viewers, truth = play(deeds, bound=1_000, whole=True)
    assert viewers["always fleet"].rows == truth
    assert viewers["fleet"].rows == truth
    of_the_two = {key: version for key, version in truth.items() if key[0] in "ab"}
    assert viewers["always one"].rows == of_the_two
    assert viewers["one"].rows == of_the_two
    assert all(viewer.snapshots == 1 for viewer in viewers.values()), "nothing was forgotten, so all were resumed"


@given(deeds, st.integers(1, 6))
@settings(max_examples=300)
def test_a_memory_that_is_too_small_costs_snapshots_and_never_a_wrong_newest_row(deeds, bound):
    live, viewers, truth = play(deeds, bound, whole=False)
    assert live.remembered <= bound
    reference = Viewer(FLEET, rows=truth).newest()
    assert viewers["fleet"].newest() == reference
    assert viewers["always fleet"].newest() == reference
    assert viewers["one"].newest() == {key: version for key, version in reference.items() if key[0] in "ab"}


@given(st.lists(rows_of_the_log, max_size=30), st.randoms())
@settings(max_examples=100)
def test_the_newest_row_does_not_depend_on_the_order_of_the_log(items, dice):
    def newest(order: list) -> dict:
        live, topic = LiveLog(1_000, PARTITIONS), Topic()
        live.begin(dict.fromkeys(range(PARTITIONS), 0))
        for item in order:
            live.fold(*topic.append(item), item)
        return {(c.cells.device, c.cells.metric): c.age for c in live.newest(FLEET)}

    assert newest(items) == newest(dice.sample(items, len(items)))


def folded(*items: Aggregate, bound: int = 100, partitions: int = 1) -> LiveLog:
    live = LiveLog(bound, partitions)
    live.begin({0: 0})
    for offset, item in enumerate(items):
        live.fold(0, offset, item)
    live.mark()
    return live


def test_a_row_of_an_older_pane_is_a_change_but_not_the_newest():
    live = folded(row(pane=5), row(pane=4, count=9))
    assert [change.cells.pane for change in live.newest(FLEET)] == [T0 + 50_000]
    assert len(live.since(FLEET, 0) or []) == 2


def test_a_higher_generation_replaces_a_higher_count():
    live = folded(row(count=9), row(count=2, generation=2), row(count=10))
    [change] = live.newest(FLEET)
    assert (change.generation, change.cells.count) == (2, 2)


def test_readings_count_what_rows_gained():
    assert folded(row(count=2), row(count=5), row(count=5), row(count=3), row(metric="n", count=4)).readings == 9


def test_beats_are_log_time_and_no_rows():
    live = LiveLog(100, partitions=2)
    live.begin({0: 0})
    live.fold(0, 0, row("raw-sensor-data-0", "beat", tenant=PULSE_TENANT, as_of=T0 + 700))
    assert live.log_time is None, "one of two partitions has not beaten yet"
    live.fold(0, 1, row("raw-sensor-data-1", "beat", tenant=PULSE_TENANT, as_of=T0 + 500))
    live.fold(0, 2, row("raw-sensor-data-1", "beat", tenant=PULSE_TENANT, as_of=T0 + 400))
    assert live.log_time == T0 + 500
    assert live.newest(Subscription(PULSE_TENANT)) == []
    assert live.cursor == "0:3"


def test_rows_from_a_store_fill_a_snapshot_and_are_no_change():
    live = folded()
    live.seed(row("silent"))
    assert [change.cells.device for change in live.newest(FLEET)] == ["silent"]
    assert live.since(FLEET, 0) == []
    live.fold(0, 0, row("silent"))
    assert len(live.since(FLEET, 0) or []) == 1, "the log says it at a position that a cursor may lie before"


def test_a_tenant_sees_only_its_own():
    live = folded(row(), row(tenant="other"))
    assert [change.device.tenant for change in live.newest(FLEET)] == ["demo"]
    assert [change.device.tenant for change in live.since(FLEET, 0) or []] == ["demo"]
    assert [change.device.tenant for change in live.resume(FLEET, {0: 0}) or []] == ["demo"]


@pytest.mark.parametrize("cursor", ["0:99", "0:1,1:0", "7:0"])
def test_a_cursor_of_another_log_is_not_resumed(cursor):
    assert folded(row(), row(pane=1)).resume(FLEET, cursors.read(cursor)) is None


def test_a_cursor_that_is_forgotten_is_not_resumed():
    live = folded(row(pane=1), row(pane=2), row(pane=3), bound=2)
    assert live.resume(FLEET, {0: 0}) is None
    assert [change.offset for change in live.resume(FLEET, {0: 1}) or []] == [1, 2]


def test_a_log_that_begins_anew_forgets_and_goes_on():
    live = folded(row(pane=1), row(pane=2), row(pane=3))
    seq = live.seq
    live.fold(0, 0, row(pane=4))
    assert live.since(FLEET, seq) is None, "who knew the old log gets a snapshot"
    assert live.resume(FLEET, {0: 3}) is None
    assert live.cursor == "0:1"


def test_memory_holds_only_what_is_newest_of_a_row():
    live = folded(*(row(count=count) for count in range(1, 5_000)), bound=10)
    assert live.remembered == 1
    assert live.floor_seq == 0, "a row that is amended for ever pushes nothing out"
    assert len(live._changes) < 2_000


@pytest.mark.parametrize("text", ["", "0", "0:", "a:1", "0:1;1:2", "0:-1", "0:1,", "9" * 200])
def test_what_is_no_cursor_is_refused_with_an_example(text):
    with pytest.raises(BadRequest, match="such as 0:123,1:456"):
        cursors.read(text)


def test_a_cursor_reads_back_as_it_was_written():
    assert cursors.read(cursors.write({1: 456, 0: 123})) == {0: 123, 1: 456}
    assert cursors.write({1: 456, 0: 123}) == "0:123,1:456"
