from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from asim_fx.spec.document import complete_document, to_yaml
from asim_fx.spec.loader import load_spec, parse_spec, shipped_names
from asim_fx.spec.schema import HardwareSpec, Macro, Match, Rule, Settings, Vote, written_fields
from tests.spec.documents import CONTRACT
from tests.spec.test_merge import DEFAULTS, SETTINGS, spec_of


@given(DEFAULTS, st.lists(SETTINGS, max_size=3))
def test_a_dumped_spec_is_the_same_spec(defaults: dict, rules: list[dict]):
    spec = spec_of(defaults, rules)
    again = HardwareSpec.model_validate(spec.model_dump())
    assert again == spec
    assert [rule.settings for rule in again.rules] == [rule.settings for rule in spec.rules] == rules


@given(
    DEFAULTS.filter(lambda given: given.get("weight_bits", 2) > 1), st.lists(st.just({"target": "float"}), max_size=2)
)
def test_a_completed_document_is_the_same_chip(defaults: dict, rules: list[dict]):
    defaults = {name: value for name, value in defaults.items() if name not in {"hybrid", "vote"}}
    spec = spec_of(defaults, rules)
    again = parse_spec(to_yaml(complete_document(spec)), "again.yaml")
    assert again == spec
    assert [rule.settings for rule in again.rules] == rules


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_specs_survive_completion(name: str):
    spec = load_spec(name)
    assert parse_spec(to_yaml(complete_document(spec)), "again.yaml") == spec


def test_completion_names_the_only_macro():
    spec = HardwareSpec.model_validate({"version": 1, "name": "x", "macros": {"only": {}}})
    assert complete_document(spec)["defaults"]["macro"] == "only"


def test_rules_can_be_built_in_python():
    rule = Rule(match=Match(op="qk"), vote=Vote(levels=3), macro=Macro(rows=64))
    assert rule.settings == {"vote": {"levels": 3}, "macro": {"rows": 64}}
    assert rule.model_dump() == {"match": {"op": "qk"}, "vote": {"levels": 3}, "macro": {"rows": 64}}


def test_a_rule_takes_every_setting():
    assert set(Settings.model_fields) <= set(Rule.model_fields)


def test_written_fields_leave_out_nothing_that_was_written():
    document = {
        "version": 1,
        "name": "x",
        "macros": {"m": {"rows": 255, "adc": {}}},
        "defaults": {"vote": {"levels": 0}},
    }
    assert written_fields(HardwareSpec.model_validate(document)) == document


def test_specs_are_frozen():
    spec = parse_spec(CONTRACT, "chip.yaml")
    with pytest.raises(ValidationError):
        spec.defaults.weight_bits = 4  # type: ignore[misc]


def test_where_a_spec_came_from_is_no_part_of_its_value():
    assert parse_spec(CONTRACT, "a.yaml") == parse_spec("# comment\n" + CONTRACT, "b.yaml")
