from headwater.cli import own_entries
from headwater.cli.own import RULES
from headwater.cli.rules import read
from headwater.registry.entries import MODELS, SITES, changes
from headwater.workers.agent_sensors import Sensors
from headwater.workers.fleet_model import KINDS, kind_of


def test_every_metric_of_the_fleet_and_of_this_machine_is_in_its_model():
    models = own_entries.models()
    for kind, metrics in KINDS.items():
        about = models[kind]["metrics"]
        assert set(about) == {metric.name for metric in metrics}
        assert all(one.unit and one.low < one.high for one in about.values())
    machine = models[own_entries.MACHINE]["metrics"]
    assert set(machine) >= {"cpu_percent", "load_1m", "disk_write_bytes_per_s"}
    assert set(machine) <= set(Sensors().measure())
    assert [machine[name].unit for name in ("cpu_percent", "load_1m", "disk_write_bytes_per_s")] == ["%", "", "B/s"]


def test_own_sites_and_models_are_ones_that_people_could_have_made():
    for fields in own_entries.SITES.values():
        assert changes(SITES, fields) == fields
    for fields in own_entries.models().values():
        given = {name: {"unit": about.unit, "low": about.low} for name, about in fields["metrics"].items()}
        assert changes(MODELS, {"title": fields["title"], "metrics": given})


def test_both_plants_have_devices_of_every_kind():
    found = {(own_entries.plant_of(number), kind_of(number)) for number in range(1, 11)}
    assert len(found) == 10


def test_own_rules_watch_what_this_machine_measures():
    file = read(RULES)
    assert all(rule.when.metric in {"", *Sensors().measure()} for rule in file.rules)
    assert {rule.scope.model for rule in file.rules} == {own_entries.MACHINE}
    assert all(rule.text for rule in file.rules)
