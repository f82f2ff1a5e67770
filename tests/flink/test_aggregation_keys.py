"""Rows that others publish beside the job must meet its own in the same partition, under the same key."""

from confluent_kafka import Producer

from headwater.model import codec, topics
from headwater.model.codec import VERSION, decode, row_key
from headwater.model.pack import Aggregate, Pack
from headwater.truth.reference import Record
from tests.flink.harness import HORIZON_MS, Lab

PANE = 1_790_000_000_000
NAMES = (
    "plain",
    'quo"te',
    "back\\slash",
    "sl/ash",
    "grad °C",
    "Grüße",
    "水温",
    "smile 😀",
    "<&>'",
    "a\x7fb",
    "\u2028",
    "#",
)


def test_the_key_of_a_row_is_flinks_own_to_the_byte_and_its_partition_too(lab: Lab):
    prefix = lab.make_topics("keys")
    pack = Pack(
        v=VERSION, tenant="t é", device='d"1', pane=PANE, at=[5], metrics={name: [1.5] for name in sorted(NAMES)}
    )
    lab.produce(prefix, [Record(pack, number % 2, number // 2, PANE + number) for number in range(4)])
    lab.run_bounded(prefix, lab.settings(horizon_ms=HORIZON_MS))
    theirs = lab.read(prefix + topics.PROCESSED.name)
    rows = {}
    for message in theirs:
        row = decode(Aggregate, message.value())
        rows[row.metric] = row
        assert message.key() == row_key(row)
    assert set(rows) == set(NAMES)
    places = {message.key(): message.partition() for message in theirs}
    assert len(set(places.values())) > 1
    producer = Producer({"bootstrap.servers": lab.bootstrap, "partitioner": "murmur2_random"})
    ours = {}
    for row in rows.values():
        producer.produce(
            prefix + topics.PROCESSED.name,
            codec.encode(row),
            row_key(row),
            on_delivery=lambda _error, message: ours.update({message.key(): message.partition()}),
        )
    assert producer.flush(120) == 0
    assert ours == places
