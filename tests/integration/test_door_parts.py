"""Every record of a message says which message it is a part of, dead letters too."""

import json
import uuid

from connectors.doors.core import Door
from headwater.model.codec import decode
from headwater.model.message import message_id, part_of
from headwater.model.pack import Pack
from headwater.model.settings import DoorSettings
from headwater.model.topics import DEAD_LETTER, RAW
from headwater.truth.span import Reader
from tests.integration.sinks import create_topics

NOW = 1_790_000_000_000


def accepted(kafka, messages, **given):
    """What the messages of a device of its own became: its entries on both topics."""
    create_topics(kafka, [RAW.name, DEAD_LETTER.name])
    device = uuid.uuid4().hex
    door = Door(DoorSettings(kafka=kafka), "test", print)
    topic = f"v1/t/{device}/telemetry"
    for message in messages:
        door.accept(topic, message, NOW, **given).result(30)
    assert door.close() == 0
    with Reader(kafka) as reader:
        found = [entry for name in (RAW.name, DEAD_LETTER.name) for entry in reader.read(reader.span(name))]
    return topic, [entry for entry in found if entry.key == f"t/{device}".encode()]


def test_the_parts_of_a_message_are_numbered_over_its_packs_and_dead_letters(kafka):
    stamps = [NOW - 25_000 + 1_000 * number for number in range(25)]
    message = json.dumps({"ts": stamps, "metrics": {"a": [1.0] * 25, "b": [[]] * 25}}).encode()
    topic, entries = accepted(kafka, [message])
    parts = [part_of(entry.headers) for entry in entries]
    assert len(parts) == 4, "three panes and a dead letter"
    assert {part.message for part in parts} == {message_id(topic, message)}
    assert [part.index for part in parts] == [0, 1, 2, 3]
    assert {part.count for part in parts} == {4}


def test_a_message_that_is_delivered_again_completes_itself(kafka):
    message = json.dumps({"ts": NOW, "values": {"a": 1}}).encode()
    _, entries = accepted(kafka, [message, message])
    assert len(entries) == 2
    assert len({part_of(entry.headers) for entry in entries}) == 1


def test_what_is_promised_nothing_belongs_to_no_message(kafka):
    _, entries = accepted(kafka, [b'{"a": 1}'], promised=False)
    assert [entry.headers for entry in entries] == [()]
    assert decode(Pack, entries[0].value).metrics == {"a": [1.0]}
