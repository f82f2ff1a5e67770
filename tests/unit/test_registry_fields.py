"""What people write of sites, models and devices is taken whole or refused with every fault named."""

import pytest

from headwater.model.device import MetricOfModel
from headwater.model.errors import BadFields
from headwater.registry.entries import DEVICES, MODELS, SITES, changes


def faults(kind, given) -> dict[str, str]:
    with pytest.raises(BadFields) as refused:
        changes(kind, given)
    return {fault.field: fault.message for fault in refused.value.faults}


def test_a_site_and_a_device_as_they_should_be():
    assert changes(SITES, {"title": "Nord", "zone": "Europe/Berlin"}) == {"title": "Nord", "zone": "Europe/Berlin"}
    given = {"site": "", "model": "pump", "tags": ["b", "a", "b"], "attributes": {"server": {"serial": 7, "old": None}}}
    assert changes(DEVICES, given) == {**given, "site": None, "tags": ["a", "b"]}


def test_what_an_answer_has_beside_may_be_sent_back():
    assert changes(SITES, {"title": "x", "version": 3, "changed_ms": 1}) == {"title": "x"}


def test_a_model_names_every_fault_at_its_place():
    found = faults(
        MODELS,
        {
            "titel": "Pump",
            "metrics": {
                "flow": {"unit": "l/min", "scale": 0, "low": 5, "high": 1},
                "heat": {"sensitivity": 0, "units": "C"},
                "on": 7,
                "": {},
            },
        },
    )
    assert set(found) == {
        "titel",
        "metrics.flow.scale",
        "metrics.flow.low",
        "metrics.heat.sensitivity",
        "metrics.heat.units",
        "metrics.on",
        "metrics.",
    }
    assert found["titel"].endswith("nearest: title")
    assert found["metrics.heat.units"].endswith("nearest: unit")
    assert "got 0" in found["metrics.flow.scale"]


def test_a_metric_may_say_nothing():
    given = changes(MODELS, {"metrics": {"b": None, "a": {"unit": "C", "high": None}}})
    assert list(given["metrics"].items()) == [("a", MetricOfModel(unit="C")), ("b", MetricOfModel())]


@pytest.mark.parametrize(
    ("given", "field", "part"),
    [
        ({"zone": "Europe/Berln"}, "zone", "Europe/Berlin"),
        ({"zone": None}, "zone", "got null"),
        ({"title": "a\nb"}, "title", "without controls"),
        ([], "", "an object of title, zone, place"),
    ],
)
def test_a_wrong_site_is_told_what_was_expected(given, field, part):
    assert part in faults(SITES, given)[field]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"site": "a/b"}, "site"),
        ({"site": 7}, "site"),
        ({"tags": ["a b"]}, "tags"),
        ({"tags": [7]}, "tags"),
        ({"attributes": {"servr": {}}}, "attributes.servr"),
        ({"attributes": {"server": {"x": [1]}}}, "attributes.server.x"),
        ({"attributes": {"server": {"x": float("nan")}}}, "attributes.server.x"),
        ({"attributes": {"server": {"": 1}}}, "attributes.server"),
        ({"attributes": {"server": 7}}, "attributes.server"),
    ],
)
def test_a_wrong_device_is_refused_at_the_field(given, field):
    assert list(faults(DEVICES, given)) == [field]
