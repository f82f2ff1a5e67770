from headwater.registry.attempts import EVERY_S, MOST, Attempts


def test_an_address_that_fails_too_often_waits_for_a_minute_and_no_other_does():
    now = [100.0]
    attempts = Attempts(lambda: now[0])
    for _ in range(MOST):
        assert not attempts.exhausted("a")
        attempts.failed("a")
    assert attempts.exhausted("a")
    assert not attempts.exhausted("b")
    now[0] += EVERY_S - 1
    assert attempts.exhausted("a")
    now[0] += 1
    assert not attempts.exhausted("a")
    attempts.failed("a")
    assert not attempts.exhausted("a")


def test_a_few_failures_now_and_then_never_add_up():
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    for _ in range(10 * MOST):
        attempts.failed("a")
        now[0] += EVERY_S / 4
        assert not attempts.exhausted("a")


def test_the_addresses_remembered_are_bounded():
    attempts = Attempts(lambda: 0.0)
    for _ in range(MOST):
        attempts.failed("first")
    for number in range(10_000):
        attempts.failed(f"10.0.{number // 256}.{number % 256}")
    assert not attempts.exhausted("first")
    assert len(attempts._failed) == 10_000
