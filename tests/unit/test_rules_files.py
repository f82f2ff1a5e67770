import json
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from headwater.cli.rules import differences, read, schema
from headwater.model import codec
from headwater.model.errors import BadFields, BadRequest
from headwater.model.rule import Draft, Equals, Rule, RuleFile, Threshold
from headwater.rules.check import checked

ROOT = Path(__file__).resolve().parents[2]

BAD = """
rules:
  - rule: a b
    severity: warn
    when: {kind: treshold, metric: t}
  - rule: c
    severty: major
    scope: {sitee: x}
    when: {kind: threshold, metric: 7, above: hot, hold_ms: -3}
  - rule: d
    severity: major
    when: {kind: threshold, metric: t, above: 3, below: 3}
  - rule: e
    severity: minor
    when: {kind: threshold, metric: t, above: 3, escalate: [{severity: warning, level: 4}]}
  - 7
  - {rule: f, severity: major, when: {kind: equals, metric: t, values: []}}
"""

FAULTS = {
    "rules[0].rule": "matching regex",
    "rules[0].severity": "got 'warn'; did you mean warning?",
    "rules[0].when.kind": "got 'treshold'; did you mean threshold?",
    "rules[1].severty": "did you mean severity?",
    "rules[1].severity": "got nothing; give it",
    "rules[1].scope.sitee": "did you mean site?",
    "rules[1].when.metric": "expected text, got 7; put quotes around it",
    "rules[1].when.above": "got 'hot'",
    "rules[1].when.hold_ms": "expected whole number >= 0, got -3",
    "rules[2].when": "exactly one of above and below, got both",
    "rules[3]": "more severe than the one before",
    "rules[4]": "got 7",
    "rules[5].when.values": "got 0 entries",
}


def test_every_field_that_is_wrong_gets_a_message_of_its_own():
    with pytest.raises(BadFields) as caught:
        checked(RuleFile, yaml.safe_load(BAD))
    said = {fault.field: fault.message for fault in caught.value.faults}
    assert said.keys() == FAULTS.keys()
    assert [field for field, part in FAULTS.items() if part not in said[field]] == []


@pytest.mark.parametrize("data", [None, [], 3, {}, {"rules": {}}, {"rules": [None]}])
def test_what_is_no_file_of_rules_is_refused(data):
    with pytest.raises(BadFields):
        checked(RuleFile, data)


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "a\x1bb"])
def test_control_characters_are_refused(text):
    data = {"rule": "r", "severity": "major", "text": text, "when": {"kind": "silence", "for_ms": 1_000}}
    with pytest.raises(BadFields, match="text: expected text without control characters"):
        checked(Draft, data)


def test_the_same_id_twice_in_a_file_is_refused():
    one = {"rule": "r", "severity": "major", "when": {"kind": "silence", "for_ms": 1_000}}
    with pytest.raises(BadFields, match="expected each id once"):
        checked(RuleFile, {"rules": [one, one]})


@pytest.mark.parametrize(
    ("when", "part"),
    [
        ({"kind": "threshold", "metric": "t", "above": 3, "clear": 4}, "clear not above the level 3, got 4"),
        ({"kind": "threshold", "metric": "t", "below": 3, "clear": 2}, "clear not below the level 3, got 2"),
        ({"kind": "threshold", "metric": "t", "above": float("nan")}, "finite"),
        ({"kind": "range", "metric": "t", "low": 3, "high": 2}, "low not above high"),
        ({"kind": "range", "metric": "t", "low": 1, "high": 2, "margin": 1}, "could never clear"),
        ({"kind": "rate", "metric": "t", "above": 1, "per_ms": 0}, "per_ms"),
        ({"kind": "silence", "for_ms": 10}, "for_ms"),
    ],
)
def test_a_condition_that_cannot_be_meant_is_refused(when, part):
    with pytest.raises(BadFields, match=part):
        checked(Draft, {"rule": "r", "severity": "major", "when": when})


def test_steps_must_go_outwards():
    when = {"kind": "threshold", "metric": "t", "above": 9, "escalate": [{"severity": "critical", "level": 8}]}
    with pytest.raises(BadFields, match="further above"):
        checked(Draft, {"rule": "r", "severity": "major", "when": when})


def test_a_file_that_is_not_yaml_says_where(tmp_path):
    file = tmp_path / "rules.yml"
    file.write_text("rules: [")
    with pytest.raises(BadRequest, match="line 1"):
        read(file)
    with pytest.raises(BadRequest, match="check the path"):
        read(tmp_path / "none.yml")


def test_a_fault_names_the_file_and_the_rule(tmp_path):
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"rules": [{"rule": "hot", "severity": "major", "when": {"kind": "x"}}]}))
    with pytest.raises(BadFields, match=r"rules\.json: rules\[0\]\.when\.kind \(hot\): expected one of threshold"):
        read(file)


def test_the_examples_of_the_docs_are_good_for_us_and_for_editors():
    text = (ROOT / "docs/rules.md").read_text()
    blocks = [block.split("```", 1)[0] for block in text.split("```yaml\n")[1:]]
    assert len(blocks) >= 2
    for block in blocks:
        data = yaml.safe_load(block)
        checked(RuleFile, data)
        jsonschema_rs.validate(json.loads(schema()), data)


def test_the_schema_in_the_docs_is_that_of_the_code_and_refuses_what_we_refuse():
    assert (ROOT / "docs/rules.schema.json").read_text() == schema(), "headwater rules schema > docs/rules.schema.json"
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(json.loads(schema()), yaml.safe_load(BAD))


def test_a_rule_comes_back_from_the_wire_as_it_was():
    when = Equals(metric="m", values=["on", True, 1.0])
    rule = Rule(v=1, tenant="demo", rule="r", version=3, severity="minor", when=when, deleted=True)
    assert codec.decode(Rule, codec.encode(rule)) == rule
    assert repr(codec.decode(Rule, codec.encode(rule)).when.values) == "['on', True, 1.0]"


def test_a_difference_names_the_field_and_both_values():
    before = Draft(rule="r", severity="minor", when=Threshold(metric="m", above=1.0))
    after = Draft(rule="r", severity="minor", when=Threshold(metric="m", above=2, hold_ms=5))
    assert list(differences(before, after)) == [("when.above", 1.0, 2.0), ("when.hold_ms", None, 5.0)]
    assert list(differences(before, before)) == []
