from __future__ import annotations

from typing import Any

import pytest

from asim_fx.ir import ConvGeometry, OpKind, OpSite
from asim_fx.rules import matches, matching_rules, resolve, selector_text, shadowed_rules, unmatched_rules
from asim_fx.spec.loader import load_spec, parse_spec
from asim_fx.spec.schema import HardwareSpec, Match
from tests.spec.documents import CONTRACT

HEADER = "version: 1\nname: x\nmacros: {m: {}, other: {rows: 64}}\ndefaults: {macro: m}\nrules:\n"


def site(name: str, kind: OpKind = OpKind.CONV, **fields: Any) -> OpSite:
    shape = {"k": 576, "n": 64, "groups": 1, "vectors": 49, "macs": 1_806_336} | fields
    return OpSite(name=name, kind=kind, op="op", input_shape=(), weight_shape=(), output_shape=(), **shape)


def window(kernel: tuple[int, ...], stride: tuple[int, ...] = (1, 1)) -> ConvGeometry:
    return ConvGeometry(kernel, stride, ((0, 0),) * len(kernel), (1,) * len(kernel))


STEM = site("conv1", geometry=window((7, 7), (2, 2)), aliases=frozenset({"@first_conv"}))
CONV = site("layer4.0.conv1", geometry=window((3, 3)))
DEPTHWISE = site("layer4.1.dw", geometry=window((3, 3)), groups=64, k=9, n=1)
HEAD = site("fc", OpKind.LINEAR, k=512, n=1000, aliases=frozenset({"@classifier"}))
QK = site("blocks.0.attn.qk", OpKind.QK, groups=3, k=64, n=197)
TWICE = site("shared.conv", geometry=window((1, 3)), call=1)
SITES = (STEM, CONV, DEPTHWISE, HEAD, QK, TWICE)


def spec_of(*rules: str) -> HardwareSpec:
    return parse_spec(HEADER + "".join(f"  - {rule}\n" for rule in rules), "chip.yaml")


@pytest.mark.parametrize(
    ("match", "names"),
    [
        ({}, [one.name for one in SITES]),
        ({"name": "layer4.**"}, ["layer4.0.conv1", "layer4.1.dw"]),
        ({"name": ["conv1", "**.qk"]}, ["conv1", "blocks.0.attn.qk"]),
        ({"name": "@first_conv"}, ["conv1"]),
        ({"name": "@classifier"}, ["fc"]),
        ({"name": "re:.*conv1"}, ["conv1", "layer4.0.conv1"]),
        ({"name": "shared.conv"}, ["shared.conv"]),
        ({"name": "shared.conv@1"}, ["shared.conv"]),
        ({"name": "shared.conv@2"}, []),
        ({"op": "linear"}, ["fc"]),
        ({"op": ["qk", "linear"]}, ["fc", "blocks.0.attn.qk"]),
        ({"op": "conv", "where": {"groups": 1}}, ["conv1", "layer4.0.conv1", "shared.conv"]),
        ({"where": {"depthwise": True}}, ["layer4.1.dw"]),
        ({"where": {"depthwise": False}}, ["conv1", "layer4.0.conv1", "fc", "blocks.0.attn.qk", "shared.conv"]),
        ({"where": {"kernel": 3}}, ["layer4.0.conv1", "layer4.1.dw"]),
        ({"where": {"kernel": "1x3"}}, ["shared.conv"]),
        ({"where": {"kernel": "!=3"}}, ["conv1", "shared.conv"]),
        ({"where": {"stride": ">1"}}, ["conv1"]),
        ({"where": {"k": "<100"}}, ["layer4.1.dw", "blocks.0.attn.qk"]),
        ({"where": {"n": 1000}}, ["fc"]),
        ({"where": {"macs": ">=1e9"}}, []),
    ],
)
def test_what_a_rule_matches(match: dict[str, Any], names: list[str]):
    selected = Match.model_validate(match)
    assert [one.name for one in SITES if matches(selected, one)] == names


def test_documented_example():
    spec = parse_spec(CONTRACT, "chip.yaml")
    stem, conv, qk = (resolve(spec, one) for one in (STEM, CONV, QK))
    assert (stem.settings.target, stem.decided_by, stem.why) == (
        "integer",
        "rules[0], chip.yaml:9",
        "the stem stays digital",
    )
    assert (qk.settings.input_bits, qk.settings.input_encoding, qk.settings.macro.adc.bits) == (9, 2, 9)
    assert qk.settings.macro.noise.random_percent_fs == 0.05
    assert qk.decided_by == "defaults, chip.yaml:6"
    assert (conv.settings.hybrid.levels, conv.settings.vote.how) == (2, "median")
    assert conv.provenance["vote.levels"] == "rules[2], chip.yaml:11"
    assert conv.rules == (2,)
    assert resolve(spec, DEPTHWISE).rules == ()


def test_later_rules_override_field_by_field():
    spec = spec_of(
        "{match: {op: conv}, weight_bits: 4, vote: {levels: 2, samples: 3}}",
        "{match: {name: 'layer4.**'}, weight_bits: 6, vote: {levels: 4}}",
    )
    settings = resolve(spec, CONV).settings
    assert (settings.weight_bits, settings.vote.levels, settings.vote.samples) == (6, 4, 3)
    assert resolve(spec, STEM).settings.weight_bits == 4


def test_why_is_that_of_the_rule_that_set_the_target():
    spec = spec_of(
        "{match: {op: conv}, target: integer, why: first}",
        "{match: {name: conv1}, weight_bits: 4, why: second}",
        "{match: {name: conv1}, input_bits: 4}",
    )
    assert resolve(spec, STEM).why == "first"
    assert resolve(spec, STEM).decided_by == "rules[0], chip.yaml:6"


def test_why_is_the_last_one_where_no_rule_sets_the_target():
    spec = spec_of("{match: {}, weight_bits: 4, why: first}", "{match: {op: conv}, input_bits: 4, why: second}")
    assert resolve(spec, STEM).why == "second"
    assert resolve(spec, HEAD).why == "first"
    assert resolve(spec, STEM).decided_by == "default value"


def test_a_target_set_without_a_reason_shows_the_last_reason():
    spec = spec_of("{match: {}, weight_bits: 4, why: first}", "{match: {}, target: float}")
    assert resolve(spec, STEM).why == "first"


def test_a_target_set_from_outside():
    spec = load_spec(spec_of("{match: {op: qk}, weight_bits: 4}"), ["defaults.target=float"])
    assert resolve(spec, STEM).decided_by == "--set defaults.target=float"


def test_unmatched_rules_say_why_and_what_was_meant():
    spec = spec_of(
        "{match: {name: 'layer5.**'}, target: float}",
        "{match: {name: 'layer4.**', op: qk}, target: float}",
        "{match: {op: av}, target: float}",
        "{match: {op: conv, where: {kernel: 5}}, target: float}",
        "{match: {name: layer4.0.cnov1}, target: float}",
        "{match: {name: nothing}, target: float, optional: true}",
        "{match: {op: conv}, target: float}",
    )
    assert [str(rule) for rule in unmatched_rules(spec, SITES)] == [
        "chip.yaml:6: rules[0] (name layer5.**) matches nothing: no site has such a name; nearest names: "
        "layer4.**, layer4.1.**, layer4.0.**",
        "chip.yaml:7: rules[1] (name layer4.**, op qk) matches nothing: the sites of that name are of kind conv",
        "chip.yaml:8: rules[2] (op av) matches nothing: the sites are of kind conv, linear, qk",
        "chip.yaml:9: rules[3] (op conv, kernel 5) matches nothing: none of the 4 sites that match otherwise meets its "
        "numeric conditions",
        "chip.yaml:10: rules[4] (name layer4.0.cnov1) matches nothing: no site has such a name; nearest names: "
        "layer4.0.conv1, layer4.1.dw",
    ]


def test_an_alias_that_no_site_has():
    (rule,) = unmatched_rules(spec_of("{match: {name: '@classifier'}, target: float}"), [CONV])
    assert rule.index == 0
    assert rule.because == "no site has such a name"


def test_shadowed_rules():
    spec = spec_of(
        "{match: {name: layer4.0.conv1}, weight_bits: 4}",
        "{match: {op: conv}, weight_bits: 6, vote: {samples: 3}}",
        "{match: {name: conv1}, vote: {samples: 5}}",
        "{match: {name: conv1}, macro: {rows: 8}}",
        "{match: {name: conv1}, macro: other}",
        "{match: {name: nothing}, macro: other}",
        "{match: {name: fc}, why: only a word}",
    )
    assert [str(rule) for rule in shadowed_rules(spec, SITES)] == [
        "chip.yaml:6: rules[0] (name layer4.0.conv1) has no effect: later rules override all it sets",
        "chip.yaml:9: rules[3] (name conv1) has no effect: later rules override all it sets",
    ]


def test_a_rule_that_is_effective_on_one_site_is_not_shadowed():
    spec = spec_of("{match: {op: conv}, weight_bits: 4}", "{match: {name: conv1}, weight_bits: 6}")
    assert shadowed_rules(spec, SITES) == []


def test_matching_rules_are_ascending():
    spec = spec_of("{match: {op: conv}}", "{match: {op: qk}}", "{match: {}}")
    assert matching_rules(spec, STEM) == (0, 2)


def test_selector_text_of_everything():
    spec = spec_of(
        "{match: {name: [a, b], op: [qk, av], where: {k: '>=3', depthwise: true}}, optional: true}", "{match: {}}"
    )
    assert [selector_text(rule) for rule in spec.rules] == [
        "name a | b, op qk | av, k >=3, depthwise true",
        "every site",
    ]
