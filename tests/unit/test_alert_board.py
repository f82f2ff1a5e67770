"""The board of active alerts: whatever comes again, late or after a restart, everybody sees what the events tell."""

import json
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from api.state.board import AlertBoard
from api.ws.alerts import MOST, AlertFrames
from headwater.model.episode import episode, joined
from headwater.model.rule import SEVERITIES
from tests.unit.alert_stories import T0, active, episodes, replayed, story, tell


@dataclass
class Viewer:
    """A client: remembers the alerts that it was told, and objects to what it was told before."""

    tenant: str = "demo"
    seq: int | None = None
    alerts: dict[str, dict] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    wholes: int = 0

    def tick(self, board: AlertBoard, frames: AlertFrames) -> None:
        text = frames.whole(self.tenant) if self.seq is None else frames.since(self.tenant, self.seq)
        self.seq = board.seq
        if not text:
            return
        frame = json.loads(text)
        assert list(frame) == ["type", "sent", "whole", "counts", "alerts"]
        assert list(frame["counts"]) == ["critical", "major", "minor", "warning", "indeterminate"]
        told = frame["alerts"]
        changed = [one["changed"] for one in told]
        assert changed == sorted(changed, reverse=True)
        assert len({one["alert_id"] for one in told}) == len(told) <= MOST
        if frame["whole"]:
            self.wholes += 1
            self.alerts = {}
        for one in told:
            assert one != self.alerts.get(one["alert_id"]), "told twice"
            assert frame["whole"] is False or one["cleared"] is None
            self.alerts[one["alert_id"]] = one
        self.counts = frame["counts"]

    @property
    def active(self) -> dict[str, dict]:
        return {alert: one for alert, one in self.alerts.items() if one["cleared"] is None}


def counted(alerts: dict[str, dict]) -> dict[str, int]:
    found = Counter(one["severity"] for one in alerts.values())
    return {severity: found[severity] for severity in reversed(SEVERITIES)}


@pytest.mark.parametrize("seed", range(100))
def test_a_viewer_that_comes_and_goes_sees_the_active_alerts_of_a_log_that_repeats_itself(seed: int):
    rng = random.Random(seed)
    log = replayed(rng, story(seed, ("demo", "other")))
    board = AlertBoard(1_000)
    frames = AlertFrames(board)
    stayed, comes, other = Viewer(), Viewer(), Viewer("other")
    away = False
    for at, event in enumerate(log, 1):
        board.fold(event)
        if rng.random() < 0.1:
            away, comes.seq = not away, None
        if rng.random() < 0.5:
            frames.forget()
            for viewer in [stayed, other, *([] if away else [comes])]:
                viewer.tick(board, frames)
            wanted = active(log[:at])
            assert stayed.active == wanted, "at every tick, so no ghost shows for a moment"
            assert stayed.counts == counted(wanted) == board.counts("demo")
            assert away or comes.active == wanted
            assert other.active == active(log[:at], "other")
    assert stayed.wholes == 1, "nothing was forgotten"
    assert sum(board.all_counts().values()) == len(active(log)) + len(active(log, "other"))


@pytest.mark.parametrize("seed", range(50))
def test_the_order_of_events_does_not_matter_at_all(seed: int):
    log = story(seed)
    shuffled = [*log, *log[:20]]
    random.Random(seed).shuffle(shuffled)
    board, viewer = AlertBoard(1_000), Viewer()
    for event in shuffled:
        board.fold(event)
    viewer.tick(board, AlertFrames(board))
    assert viewer.active == active(log)
    known = {}
    for event in shuffled:
        given = episode(event)
        known[event.alert_id] = joined(known.get(event.alert_id, given), given)
    assert {alert: one.cleared for alert, one in known.items()} == {
        alert: one["cleared"] for (_, alert), one in episodes(log).items()
    }


@pytest.mark.parametrize("seed", range(50))
def test_a_restart_goes_on_from_what_the_store_holds_and_a_place_before_it(seed: int):
    """The store has folded up to `held`; the log is read again from a place at or before that, and repeats itself."""
    rng = random.Random(seed)
    log = story(seed)
    held = rng.randrange(len(log))
    begin = rng.randrange(held + 1)
    board = AlertBoard(1_000)
    cleared = [alert for (_, alert), one in episodes(log[:held]).items() if one["cleared"] is not None]
    first = {event.alert_id: event for event in log[:held]}
    stored = {}
    for event in log[:held]:
        stored[event.alert_id] = joined(stored.get(event.alert_id, episode(event)), episode(event))
    board.seed_cleared("demo", cleared)
    for alert in first.keys() - set(cleared):
        board.seed(stored[alert])
    viewer, frames = Viewer(), AlertFrames(board)
    viewer.tick(board, frames)
    assert viewer.active == active(log[:held])
    for event in replayed(rng, log[begin:]):
        board.fold(event)
        frames.forget()
        viewer.tick(board, frames)
        assert not viewer.active.keys() & set(cleared), "what the store knows as cleared does not come back"
    assert viewer.active == active(log)


@pytest.mark.parametrize("bound", [0, 1, 5])
@pytest.mark.parametrize("seed", range(20))
def test_a_memory_that_is_too_small_costs_whole_frames_and_never_an_alert(seed: int, bound: int):
    rng, log, board = random.Random(seed), story(seed, alerts=60), AlertBoard(bound)
    frames, viewer = AlertFrames(board), Viewer()
    for at, event in enumerate(log, 1):
        board.fold(event)
        assert board.remembered <= bound
        if rng.random() < 0.1:
            viewer.tick(board, frames)
            frames.forget()
            assert viewer.active == active(log[:at])
    assert viewer.wholes > 1 or bound == 5


def test_a_frame_holds_the_last_thousand_and_counts_all():
    rng, board, viewer = random.Random(1), AlertBoard(10), Viewer()
    raised = [tell(rng, "demo", f"d{number}", T0 + 1_000 * number, cleared=False)[0] for number in range(MOST + 500)]
    for event in raised:
        board.fold(event)
    frames = AlertFrames(board)
    viewer.tick(board, frames)
    assert viewer.alerts.keys() == {event.alert_id for event in raised[-MOST:]}
    assert sum(viewer.counts.values()) == MOST + 500
    many = Viewer(seq=0)
    many.tick(board, frames)
    assert (many.wholes, len(many.alerts)) == (1, MOST), "more than fit have changed"


def test_frames_are_shared_and_not_kept_beyond_their_tick():
    board, rng = AlertBoard(10), random.Random(1)
    frames = AlertFrames(board)
    first, second = (tell(rng, "demo", device, T0, cleared=False)[0] for device in "ab")
    board.fold(first)
    assert frames.whole("demo") is frames.whole("demo")
    assert frames.since("demo", 0) is frames.since("demo", 0)
    assert frames.since("demo", board.seq) == ""
    assert json.loads(frames.whole("nobody"))["alerts"] == []
    board.fold(second)
    assert len(json.loads(frames.whole("demo"))["alerts"]) == 2
    frames.forget()
    assert not frames._frames
