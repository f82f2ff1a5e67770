"""A rule that was stored is on the log, and the evaluator takes it from there."""

import psycopg
import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, TopicPartition

from headwater import registry, rule_store
from headwater.model import codec
from headwater.model.rule import Draft, Rule, Threshold
from headwater.model.topics import ALERT_RULES
from headwater.rules.book import DELAY_MS
from headwater.rules.evaluate import Appended, Of, evaluate
from headwater.rules.item import Slice
from tests.integration.mqtt_line import eventually
from tests.integration.registry_log import own_database, worker


@pytest.fixture
def appended(kafka):
    """A function that gives every record of the tenant so far, with its log time."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "test", "enable.auto.commit": False})
    found: list[Appended] = []

    def read() -> list[Appended]:
        if not consumer.assignment():
            partitions = consumer.list_topics(ALERT_RULES.name, timeout=10).topics[ALERT_RULES.name].partitions
            consumer.assign([TopicPartition(ALERT_RULES.name, number, 0) for number in partitions])
        for message in consumer.consume(1_000, 0.3):
            assert message.error() is None
            kind, stamp = message.timestamp()
            assert kind == TIMESTAMP_LOG_APPEND_TIME
            if message.key() == b"rules-log/hot":
                found.append(Appended(stamp, codec.decode(Rule, message.value())))
        return found

    yield read
    consumer.close()


def test_versions_reach_the_log_in_order_again_and_again_and_count_from_there(tmp_path, kafka, postgres, appended):
    database = own_database(postgres)
    with (
        psycopg.connect(database, autocommit=True) as conn,
        worker(tmp_path, kafka, database, registry_republish_ms=1_000),
    ):
        registry.add_tenant(conn, "rules-log")
        for above in (80, 85, 90):
            with conn.transaction():
                draft = Draft(rule="hot", severity="major", when=Threshold(metric="t", above=above))
                rule_store.apply(conn, "rules-log", [draft])
        eventually(lambda: [one.rule.version for one in appended()].count(3) >= 3, "version 3 again and again")
        log = list(appended())
    assert [one.rule.version for one in log] == sorted(one.rule.version for one in log)
    counts = next(one.log_time for one in log if one.rule.version == 3) + DELAY_MS
    items = [Of("rules-log", "d", Slice("t", [at], [95.0], at)) for at in (log[0].log_time, counts - 1, counts)]
    raised = [event for event in evaluate(items, log, {}) if event.happened == "raised"]
    assert (raised[-1].log_time, raised[-1].version) == (counts, 3)
