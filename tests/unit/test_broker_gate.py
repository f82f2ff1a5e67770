from headwater.broker.gate import PAUSE_MS, Closed, Gate, Look


def look(queued: int = 0, connected: bool = True, subscribed: bool = True, free_mb: int = 9_999) -> Look:
    return Look(subscribed, connected, queued, free_mb)


def opened() -> Gate:
    gate = Gate(limit=100, away_ms=1_000, low_disk_mb=400)
    gate.update(look(), 0)
    assert gate.closed is None
    return gate


def test_the_gate_is_closed_until_the_bridge_has_subscribed():
    gate = Gate(limit=100, away_ms=1_000)
    assert gate.closed is Closed.NO_SESSION
    assert not gate.update(look(subscribed=False, connected=False), 0)
    assert gate.closed is Closed.NO_SESSION
    assert gate.update(look(), 10)
    assert gate.closed is None


def test_a_session_from_before_a_restart_opens_the_gate_though_the_bridge_is_not_there_yet():
    gate = Gate(limit=100, away_ms=1_000)
    gate.update(look(queued=20, connected=False), 0)
    assert gate.closed is None


def test_past_the_limit_it_closes_and_opens_only_below_half_of_it():
    gate = opened()
    assert not gate.update(look(100), 10)
    assert gate.update(look(101), 20)
    assert gate.closed is Closed.QUEUE
    for queued in (100, 51, 50):
        assert not gate.update(look(queued), 30)
    assert gate.update(look(49), 40)
    assert gate.closed is None


def test_a_drained_queue_opens_it_only_when_the_bridge_is_there():
    gate = opened()
    gate.update(look(101), 10)
    gate.update(look(0, connected=False), 20)
    assert gate.closed is Closed.QUEUE


def test_a_bridge_that_is_away_for_too_long_closes_it():
    gate = opened()
    gate.update(look(connected=False), 1_000)
    assert gate.closed is None
    gate.update(look(connected=False), 1_001)
    assert gate.closed is Closed.AWAY
    gate.update(look(queued=70), 1_100)
    assert gate.closed is Closed.AWAY
    gate.update(look(queued=10), 1_200)
    assert gate.closed is None


def test_short_absences_do_not_add_up():
    gate = opened()
    for now in range(0, 10_000, 900):
        gate.update(look(connected=(now % 1_800 == 0)), now)
        assert gate.closed is None


def test_a_disk_that_is_nearly_full_closes_it_and_a_quarter_more_room_opens_it():
    gate = opened()
    gate.update(look(free_mb=400), 10)
    assert gate.closed is None
    assert gate.update(look(free_mb=399), 20)
    assert gate.closed is Closed.DISK
    for free_mb in (400, 499):
        gate.update(look(free_mb=free_mb), 30)
        assert gate.closed is Closed.DISK
    assert gate.update(look(free_mb=500), 40)
    assert gate.closed is None
    gate.update(look(free_mb=499), 50)
    assert gate.closed is None


def test_publishers_wait_while_three_quarters_are_full_until_the_bridge_has_got_on():
    gate = Gate(limit=1_000, away_ms=1_000)
    for queued, paused in ((750, False), (751, True), (731, True), (730, False), (751, True), (1_001, False)):
        gate.update(look(queued), 0)
        assert gate.paused is paused
    assert gate.closed is Closed.QUEUE


def test_nobody_waits_for_a_bridge_that_is_away():
    gate = Gate(limit=100, away_ms=1_000)
    gate.update(look(90), 0)
    assert gate.paused
    gate.update(look(90, connected=False), 10)
    assert not gate.paused


def test_the_longest_pause_ends_for_one_look_though_nothing_has_gone():
    gate, paused = Gate(limit=100, away_ms=1_000), []
    for now in range(0, 2 * PAUSE_MS, 250):
        gate.update(look(90), now)
        paused.append(gate.paused)
    assert paused.count(False) == 1
    assert paused.index(False) == PAUSE_MS // 250
