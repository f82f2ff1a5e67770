import pytest

from connectors.doors.attributes import attributes_of
from connectors.doors.mqtt import filters
from headwater.model.errors import Refused
from headwater.model.event import EVENTS_TOPIC
from headwater.model.pack import REASONS


def test_names_and_values_are_taken_as_they_are():
    assert attributes_of(b'{"firmware": "1.0", "free": 12.5, "n": 3, "on": true, "gone": null}') == {
        "firmware": "1.0",
        "free": 12.5,
        "n": 3,
        "on": True,
        "gone": None,
    }
    assert attributes_of(b"{}") == {}


@pytest.mark.parametrize(
    ("payload", "reason", "said"),
    [
        (b"", "bad-json", "expected JSON"),
        (b"7", "bad-attributes", "an object of names"),
        (b'{"a": [1], "b": {"c": 1}}', "bad-attributes", ".a: expected text.*; .b: expected text"),
        (b'{"a": NaN}', "bad-attributes", "finite"),
        (b'{"a": 1e999}', "bad-attributes", "finite"),
        (b'{"a": 99999999999999999999}', "bad-attributes", "a number"),
        (b'{"a\\u0000": 1}', "bad-attributes", "without controls"),
        (b'{"a": "x\\u0000"}', "bad-attributes", "without controls"),
        (b'{"a": "' + b"x" * 1_001 + b'"}', "bad-attributes", "at most 1000"),
        (b" " * 16_385, "too-large", "at most 16384 bytes, got 16385"),
    ],
)
def test_what_is_wrong_is_refused_whole_with_every_fault(payload, reason, said):
    with pytest.raises(Refused, match=said) as refused:
        attributes_of(payload)
    assert refused.value.reason == reason
    assert reason in REASONS
    assert len(refused.value.detail) <= 1_000


def test_the_bridge_hears_attributes_of_the_devices_whose_readings_it_hears():
    assert filters("v1/+/+/telemetry") == ["v1/+/+/telemetry", "v1/+/+/attributes", EVENTS_TOPIC]
    assert filters("v1/demo/+/telemetry")[1] == "v1/demo/+/attributes"
    assert filters("other/#") == ["other/#", EVENTS_TOPIC]
