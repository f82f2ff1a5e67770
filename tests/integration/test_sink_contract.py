"""One contract, every sink: whatever is played, twice, late or broken off, the store ends in the same rows."""

import random
from importlib import import_module

import pytest

from connectors.sinks.base import Sink
from headwater.model.generation import marker
from headwater.model.pack import PULSE_TENANT
from headwater.model.topics import PROCESSED, RAW
from headwater.stack import sinks
from tests.integration.sinks import T0, opened, panes, row
from tests.integration.stores import Store


def of_processed_data() -> list[str]:
    """The modules whose sink reads rows, as the stack finds them: those of another topic have tests of their own."""
    modules = {one.name: import_module(one.module) for one in sinks.found()}
    kinds = {kind.name: kind for module in modules.values() for kind in vars(module).values() if is_sink(kind)}
    return [modules[name].__name__.rpartition(".")[2] for name in modules if kinds[name].topic is PROCESSED]


def is_sink(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Sink) and hasattr(kind, "name")


@pytest.fixture(params=[*of_processed_data(), "sample"])
def store(request: pytest.FixtureRequest) -> Store:
    try:
        module = import_module(f"tests.integration.stores.{request.param}")
    except ModuleNotFoundError:
        pytest.fail(f"expected tests/integration/stores/{request.param}.py, by which the contract asks what is stored")
    return module.open_store(request)


def test_the_sinks_of_the_stack_are_found():
    assert {"postgres", "valkey"} <= {*of_processed_data()}
    assert "clickhouse" not in of_processed_data()


def history(tenant: str, seed: int, rows: int = 300) -> list:
    """Versions of rows of ten devices, in no order, with repeats."""
    dice = random.Random(seed)
    made = [
        row(
            tenant,
            f"d{dice.randrange(10)}",
            dice.choice("ab"),
            dice.choice(panes(5)),
            count=(count := dice.randint(1, 20)),
            generation=(generation := dice.choice([1, 1, 1, 2])),
            last=float(count * 100 + generation),
        )
        for _ in range(rows)
    ]
    return made + dice.sample(made, rows // 3)


def expected(rows: list, store: Store) -> dict:
    """What either store must hold in the end, by a plain reading of the rule of versions."""
    newest: dict = {}
    for each in rows:
        key = (each.device, each.metric, each.pane)
        if key not in newest or each.version >= newest[key].version:
            newest[key] = each
    if store.latest_only:
        last = {
            (device, metric): max(p for d, m, p in newest if (d, m) == (device, metric)) for device, metric, _ in newest
        }
        newest = {(*series, pane): newest[(*series, pane)] for series, pane in last.items()}
    return {key: (each.generation, each.count, each.last) for key, each in newest.items()}


def test_played_twice_the_rows_are_the_same(store: Store, tenant: str):
    rows = history(tenant, seed=1)
    with opened(store) as sink:
        for _ in range(2):
            for start in range(0, len(rows), 37):
                sink.write(rows[start : start + 37], {0: start})
                sink.flush()
            assert store.rows(tenant) == expected(rows, store)


def test_a_lower_version_never_replaces_a_higher(store: Store, tenant: str):
    with opened(store) as sink:
        for generation, count in [(1, 5), (1, 4), (2, 1), (1, 99), (2, 0)]:
            sink.write([row(tenant, "d", count=count, generation=generation, last=float(count))], {0: 1})
            sink.flush()
    assert store.rows(tenant) == {("d", "t", T0): (2, 1, 1.0)}


def test_a_higher_generation_takes_readings_away(store: Store, tenant: str):
    with opened(store) as sink:
        sink.write([row(tenant, "d", count=9, last=9.0)], {0: 1})
        sink.flush()
        sink.write([row(tenant, "d", count=3, generation=2, last=3.0)], {0: 2})
        sink.flush()
    assert store.rows(tenant) == {("d", "t", T0): (2, 3, 3.0)}


def test_of_one_version_the_larger_as_of_counts_in_either_order(store: Store, tenant: str):
    early, late = row(tenant, "d", as_of=T0 + 1, last=1.0), row(tenant, "d", as_of=T0 + 2, last=2.0)
    with opened(store) as sink:
        for order in ([early, late], [late, early]):
            for each in order:
                sink.write([each], {0: 1})
                sink.flush()
            assert store.rows(tenant) == {("d", "t", T0): (1, 1, 2.0)}


def test_two_instances_at_once_end_in_the_same_rows(store: Store, tenant: str):
    rows = history(tenant, seed=2)
    with opened(store) as one, opened(store) as other:
        for start in range(0, len(rows), 50):
            one.write(rows[start : start + 50], {0: start})
            one.flush()
            other.write(rows[max(0, start - 100) : start + 20], {0: start})
            other.flush()
    assert store.rows(tenant) == expected(rows, store)


def test_a_flush_that_fails_in_mid_batch_moves_no_position_and_reading_again_mends_it(store: Store, tenant: str):
    rows = history(tenant, seed=3)
    with opened(store) as sink:
        sink.write(rows[:100], {0: 100})
        sink.flush()
        sink.write(rows[100:200], {0: 200})
        with store.refusing(tenant, "d5"), pytest.raises(sink.outages):
            sink.flush()
        sink.reset()
        resume = sink.positions().get(0, 100)
        assert resume == 100, "a flush that failed must not move the position"
        sink.write(rows[resume:], {0: len(rows)})
        sink.flush()
    assert store.rows(tenant) == expected(rows, store)


def test_connections_killed_again_and_again_cost_no_row(store: Store, tenant: str):
    rows = history(tenant, seed=4)
    done = 0
    with opened(store) as sink:
        for attempt in range(200):
            if attempt % 2:
                store.kill_connections()
            try:
                sink.write(rows[done : done + 20], {0: done + 20})
                sink.flush()
                done += 20
            except sink.outages:
                sink.reset()
                sink.positions()
            if done >= len(rows):
                break
    assert store.rows(tenant) == expected(rows, store)


def test_close_flushes(store: Store, tenant: str):
    sink = store.sink()
    sink.positions()
    sink.write([row(tenant, "d")], {0: 1})
    sink.close()
    assert store.rows(tenant) == {("d", "t", T0): (1, 1, 1.0)}


def test_names_of_any_letters_come_back_as_they_were(store: Store, tenant: str):
    names = ["plain", "tab\there", "line\nbreak", "back\\slash", "\\N", "quote'\"", "Grüße 🌡", "{braces}", "\x01\x7f"]
    with opened(store) as sink:
        sink.write([row(tenant, device, metric) for device in names for metric in names], {0: 1})
        sink.flush()
    assert set(store.rows(tenant)) == {(device, metric, T0) for device in names for metric in names}


def test_a_row_that_the_store_can_never_take_is_refused_alone(store: Store, tenant: str):
    dice = random.Random(8)
    endless = "".join(
        chr(dice.randrange(0x4E00, 0x9FFF)) for _ in range(4_000)
    )  # more than an index of PostgreSQL takes
    refused: list = []
    with opened(store) as sink:
        sink.refuse = lambda rows, _why: refused.extend(each.device for each in rows)
        sink.write([row(tenant, device) for device in ("a", endless, "b", "c")], {0: 4})
        sink.flush()
        assert sink.positions().get(0, 4) == 4
    taken = {device for device, _, _ in store.rows(tenant)}
    assert taken | set(refused) == {"a", "b", "c", endless}
    assert set(refused) <= {endless}
    assert {"a", "b", "c"} <= taken


def test_numbers_keep_every_bit(store: Store, tenant: str):
    values = [0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0, 1 / 3]
    with opened(store) as sink:
        sink.write([row(tenant, f"d{n}", last=value, sum=0.0, sum_sq=0.0) for n, value in enumerate(values)], {0: 1})
        sink.flush()
    assert [store.rows(tenant)[f"d{n}", "t", T0][2] for n in range(len(values))] == values


def test_beats_are_log_time_and_no_rows(store: Store, tenant: str):
    beats = [row(PULSE_TENANT, "raw-sensor-data-901", "beat", T0, as_of=T0 + late) for late in (500, 900, 100)]
    with opened(store) as sink:
        for beat in beats:
            sink.write([beat], {0: 1})
            sink.flush()
    assert store.rows(PULSE_TENANT) == {}
    assert store.log_time(RAW.name, 901) == (T0 + 900 if store.keeps_log_time else None)


def test_rows_of_a_rebuild_wait_until_every_partition_has_its_marker(store: Store, tenant: str):
    generation = store.shown() + 1_000

    def rebuilt(pane: int, count: int):
        return row(tenant, "d", pane=pane, count=count, generation=generation, last=float(count))

    def held() -> tuple[int, float]:
        return store.rows(tenant)["d", "t", T0][1:]

    with opened(store) as sink:
        sink.write([row(tenant, "d", count=5, last=5.0), rebuilt(T0, 1), rebuilt(T0, 2)], {0: 3})
        sink.flush()
        assert held() == (5, 5.0)
        sink.write([marker(partition, generation, T0) for partition in range(3)], {0: 4})
        sink.flush()
        assert held() == (5, 5.0)
        assert sink.holds_rows_back() == store.holds_rows_back
        sink.write([rebuilt(T0, 3), marker(3, generation, T0)], {0: 6})
        sink.flush()
        assert held() == (3, 3.0)
        assert not sink.holds_rows_back()
        sink.write([rebuilt(T0, 4)], {0: 7})
        sink.flush()
        assert held() == (4, 4.0)


def test_of_a_pane_that_no_older_row_stands_for_a_rebuild_shows_its_rows_at_once(store: Store, tenant: str):
    generation = store.shown() + 1_000
    with opened(store) as sink:
        sink.write([row(tenant, "d", count=5), row(tenant, "d", pane=T0 + 10_000, generation=generation)], {0: 2})
        sink.flush()
        assert store.rows(tenant)["d", "t", T0 + 10_000][:2] == (generation, 1)
