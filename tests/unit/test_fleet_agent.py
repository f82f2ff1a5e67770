from headwater.workers.agent import Outbox
from headwater.workers.agent_sensors import Sensors


def filled(rows: int, most: int = 100) -> Outbox:
    outbox = Outbox(most)
    for ts in range(rows):
        outbox.put({"ts": ts})
    return outbox


def stamps(rows: list) -> list[int]:
    return [row["ts"] for row in rows]


def test_rows_leave_in_order_and_one_batch_at_a_time():
    outbox = filled(5)
    assert stamps(outbox.batch(3)) == [0, 1, 2]
    assert outbox.batch(3) == []
    outbox.acknowledged()
    assert stamps(outbox.batch(3)) == [3, 4]


def test_a_refused_batch_is_sent_again():
    outbox = filled(2)
    assert stamps(outbox.batch()) == [0, 1]
    outbox.refused()
    outbox.put({"ts": 2})
    assert stamps(outbox.batch()) == [0, 1, 2]


def test_a_full_outbox_drops_the_oldest_that_is_not_on_its_way():
    outbox = filled(4, most=4)
    assert stamps(outbox.batch(2)) == [0, 1]
    outbox.put({"ts": 4})
    assert (len(outbox), outbox.lost) == (4, 1)
    outbox.acknowledged()
    assert stamps(outbox.batch()) == [3, 4]


def test_a_batch_never_fills_the_outbox_so_there_is_always_one_to_drop():
    outbox = filled(4, most=4)
    assert len(outbox.batch(10)) == 3
    outbox.put({"ts": 4})
    outbox.acknowledged()
    assert stamps(outbox.batch()) == [4]


def test_this_machine_measures_itself():
    sensors = Sensors()
    values = sensors.measure()
    assert {"cpu_percent", "cpu_core_0_percent", "memory_percent", "memory_used_bytes", "disk_used_percent"} <= set(
        values
    )
    assert 0 <= values["memory_percent"] <= 100
    assert all(isinstance(value, float | int) for value in values.values())
