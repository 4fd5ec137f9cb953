from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.errors import SpecError
from asim_fx.spec.loader import load_spec, parse_spec
from asim_fx.spec.merge import leaves, merge, provenance
from asim_fx.spec.schema import HardwareSpec, Settings
from tests.spec.documents import CONTRACT, SMALL

MACROS = {"a": {"rows": 16, "adc": {"bits": 4}}, "b": {"noise": {"random_percent_fs": 0.5}}}
MACRO_CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "rows": st.integers(1, 512),
        "adc": st.fixed_dictionaries({}, optional={"bits": st.integers(1, 24) | st.just("ideal")}),
        "noise": st.fixed_dictionaries({}, optional={"random_percent_fs": st.floats(0, 1)}),
    },
)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "target": st.sampled_from(["analog", "integer", "float"]),
        "weight_bits": st.integers(1, 16),
        "signed": st.sampled_from(["auto", True, False]),
        "hybrid": st.fixed_dictionaries({}, optional={"levels": st.integers(0, 5)}),
        "vote": st.fixed_dictionaries(
            {},
            optional={
                "levels": st.integers(0, 5),
                "samples": st.integers(1, 5),
                "how": st.sampled_from(["mean", "mode"]),
            },
        ),
        "macro": st.sampled_from(["a", "b"]) | MACRO_CHANGES,
    },
)
DEFAULTS = SETTINGS.map(
    lambda given: {**given, "macro": given["macro"] if isinstance(given.get("macro"), str) else "a"}
)


def spec_of(defaults: dict[str, Any], rules: list[dict[str, Any]]) -> HardwareSpec:
    rules = [{"match": {}, **rule} for rule in rules]
    return HardwareSpec.model_validate(
        {"version": 1, "name": "x", "macros": MACROS, "defaults": defaults, "rules": rules}
    )


def expected_settings(spec: HardwareSpec, layers: list[dict[str, Any]]) -> dict[str, Any]:
    """Overlay nested dicts one by one; a name of a macro replaces the macro."""
    result = Settings().model_dump()
    for layer in layers:
        for name, value in layer.items():
            if name == "macro" and isinstance(value, str):
                result["macro_name"] = value
                result["macro"] = spec.macros[value].model_dump()
            else:
                overlay(result, name, value)
    return result


def overlay(target: dict[str, Any], name: str, value: Any) -> None:
    if isinstance(value, dict):
        for inner, inner_value in value.items():
            overlay(target[name], inner, inner_value)
    else:
        target[name] = value


@given(DEFAULTS, st.lists(SETTINGS, max_size=4), st.data())
def test_later_layers_win_field_by_field(defaults: dict, rules: list[dict], data: st.DataObject):
    spec = spec_of(defaults, rules)
    chosen = sorted(data.draw(st.sets(st.sampled_from(range(len(rules)))))) if rules else []
    merged = merge(spec, chosen)
    assert merged.settings.model_dump() == expected_settings(spec, [defaults, *(rules[index] for index in chosen)])


@given(DEFAULTS, st.lists(SETTINGS, max_size=4))
def test_every_path_leads_to_its_value(defaults: dict, rules: list[dict]):
    spec = spec_of(defaults, rules)
    merged = merge(spec, range(len(rules)))
    document = spec.model_dump()
    values = dict(leaves(merged.settings.model_dump()))
    values["macro"] = values.pop("macro_name")
    assert values.keys() == merged.paths.keys()
    for name, path in merged.paths.items():
        if not path:
            continue
        place: Any = document
        for part in path.split("."):
            place = place[int(part)] if isinstance(place, list) else place[part]
        assert place == values[name]


def test_a_named_macro_drops_earlier_changes():
    spec = spec_of({"macro": "a"}, [{"macro": {"adc": {"bits": 9}, "rows": 3}}, {"macro": "b"}, {"macro": {"rows": 5}}])
    merged = merge(spec, (0, 1, 2))
    assert merged.settings.macro_name == "b"
    assert merged.settings.macro.adc.bits == 8
    assert merged.settings.macro.rows == 5
    assert merged.paths["macro"] == "rules.1.macro"
    assert merged.paths["macro.rows"] == "rules.2.macro.rows"
    assert merged.paths["macro.adc.bits"] == ""
    assert merged.paths["macro.noise.random_percent_fs"] == "macros.b.noise.random_percent_fs"


def test_provenance_in_words():
    spec = load_spec(parse_spec(CONTRACT, "chip.yaml"), ["macros.m.rows=64"])
    merged = merge(spec, (1, 2))
    words = {name: provenance(spec, path) for name, path in merged.paths.items()}
    assert words["input_bits"] == "rules[1], chip.yaml:10"
    assert words["macro.adc.bits"] == "rules[1], chip.yaml:10"
    assert words["vote.levels"] == "rules[2], chip.yaml:11"
    assert words["weight_bits"] == "defaults, chip.yaml:6"
    assert words["macro"] == "defaults, chip.yaml:6"
    assert words["macro.columns"] == "macros.m, chip.yaml:4"
    assert words["macro.rows"] == "--set macros.m.rows=64"
    assert words["macro.domain"] == "default value"


def test_the_only_macro_needs_no_mention():
    merged = merge(parse_spec(SMALL, "chip.yaml"), ())
    assert merged.settings.macro_name == "m"
    assert merged.paths["macro"] == "macros.m"


def test_integer_sites_need_no_macro():
    spec = parse_spec("version: 1\nname: x\nmacros: {}\ndefaults: {target: integer}\n", "chip.yaml")
    assert merge(spec, ()).settings.macro_name == ""


def test_undefined_macro_of_a_spec_from_python():
    spec = HardwareSpec.model_validate({"version": 1, "name": "x", "macros": MACROS, "defaults": {"macro": "c"}})
    with pytest.raises(SpecError, match=r"^<python>: defaults\.macro: there is no macro `c`; known are a, b$"):
        merge(spec, ())
