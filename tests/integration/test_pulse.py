import os
import subprocess
import sys
import time

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaException, TopicPartition

from headwater.model import codec
from headwater.model.pack import PULSE_TENANT, Pack
from headwater.model.settings import Settings
from headwater.model.topics import RAW
from headwater.stack.topics import create_all
from headwater.workers.pulse import BEATS


def end_of(consumer, place):
    """The end of a partition; one that was made a moment ago may have no leader yet."""
    for _ in range(100):
        try:
            return consumer.get_watermark_offsets(place, 60)[1]
        except KafkaException:
            time.sleep(0.1)
    raise AssertionError(f"{place} has no leader in time")


@pytest.fixture
def beating(kafka, tmp_path):
    create_all(Settings(kafka=kafka))
    env = os.environ | {"HEADWATER_KAFKA": kafka, "HEADWATER_STATE": str(tmp_path), "HEADWATER_PULSE_MS": "50"}
    process = subprocess.Popen([sys.executable, "-m", "headwater.workers.pulse"], env=env, stdout=subprocess.DEVNULL)
    yield process
    process.kill()
    process.wait()


def test_every_partition_where_log_time_is_made_gets_beats_and_sigterm_ends_them(kafka, beating):
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "test", "enable.auto.commit": False})
    topics = consumer.list_topics(timeout=60).topics
    wanted = {(topic.name, partition) for topic in BEATS for partition in topics[topic.name].partitions}
    assert len({name for name, _ in wanted}) == 4
    places = [TopicPartition(name, partition) for name, partition in wanted]
    for place in places:
        place.offset = end_of(consumer, place)
    consumer.assign(places)
    beats: dict[tuple[str, int], int] = dict.fromkeys(wanted, 0)
    for _ in range(400):
        for message in consumer.consume(500, 0.2):
            place = (message.topic(), message.partition())
            if not message.key().startswith(f"{PULSE_TENANT}/".encode()):
                continue
            assert message.key() == f"{PULSE_TENANT}/{place[0]}-{place[1]}".encode()
            assert message.timestamp()[0] == TIMESTAMP_LOG_APPEND_TIME
            if message.topic() == RAW.name:
                pack = codec.decode(Pack, message.value())
                assert (pack.tenant, pack.device) == (PULSE_TENANT, f"{RAW.name}-{message.partition()}")
                assert pack.metrics == {"beat": [1.0]}
                assert abs(pack.pane + pack.at[0] - message.timestamp()[1]) < 60_000
            beats[place] += 1
        if min(beats.values()) >= 3:
            break
    consumer.close()
    assert min(beats.values()) >= 3
    beating.terminate()
    assert beating.wait(120) == 0
