from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.ir import BitPlan, input_plane_widths
from asim_fx.spec.checks import conflicts, problems
from asim_fx.spec.loader import parse_spec
from asim_fx.spec.schema import SiteSettings
from tests.spec.documents import SMALL, errors_of


def settings(macro: dict[str, Any] | None = None, **fields: Any) -> SiteSettings:
    return SiteSettings.model_validate({"macro_name": "m", "macro": macro or {}, **fields})


NONLINEAR = {"nonlinear_percent_fs": 0.1}

BAD = [
    ("vote.levels", {"vote": {"levels": 2}, "hybrid": {"levels": 2}}, {}, ["vote.levels", "hybrid.levels"]),
    ("input_encoding", {"input_encoding": 9}, {}, ["input_encoding", "input_bits"]),
    ("weight_bits", {"weight_bits": 1}, {}, ["weight_bits"]),
    ("hybrid.levels", {"hybrid": {"levels": 16}}, {}, ["hybrid.levels", "at most 15"]),
    (
        "macro.noise.nonlinear_percent_fs",
        {},
        {"domain": "current", "noise": NONLINEAR},
        ["nonlinear_percent_fs", "domain"],
    ),
    (
        "macro.current.compression_per_mac",
        {},
        {"current": {"compression_per_mac": 0.1}},
        ["compression_per_mac", "domain"],
    ),
    (
        "macro.current.cell_variation_percent",
        {},
        {"current": {"cell_variation_percent": 1.0}},
        ["cell_variation_percent", "domain"],
    ),
    ("hybrid.levels", {"hybrid": {"levels": 1}}, {"weights": "parallel"}, ["hybrid.levels", "weights"]),
    (
        "macro.noise.nonlinear_percent_fs",
        {},
        {"weights": "parallel", "noise": NONLINEAR},
        ["nonlinear_percent_fs", "weights"],
    ),
    ("input_encoding", {"input_encoding": 4}, {"weights": "parallel"}, ["input_encoding", "weights", "input_bits"]),
    ("macro.adc.bits", {}, {"weights": "parallel", "adc": {"bits": 1}}, ["adc.bits", "weights"]),
    (
        "vote.how",
        {"vote": {"levels": 1, "samples": 3}},
        {"adc": {"bits": "ideal"}, "noise": {"random_percent_fs": 0.1}},
        ["vote.how", "adc.bits"],
    ),
]


@pytest.mark.parametrize(("field", "fields", "macro", "named"), BAD, ids=[f"{bad[0]}-{i}" for i, bad in enumerate(BAD)])
def test_impossible_combinations_name_their_fields(field: str, fields: dict, macro: dict, named: list[str]):
    ((found, message),) = problems(settings(macro, **fields), None)
    assert found == field
    assert all(word in message for word in named)


@pytest.mark.parametrize(("field", "fields", "macro", "named"), BAD, ids=[f"{bad[0]}-{i}" for i, bad in enumerate(BAD)])
def test_a_float_site_has_none_of_these_problems(field: str, fields: dict, macro: dict, named: list[str]):
    assert problems(settings(macro, **fields, target="float"), None) == []


@pytest.mark.parametrize(
    ("fields", "macro"),
    [
        ({}, {}),
        ({"vote": {"levels": 3}, "hybrid": {"levels": 2}}, {}),
        ({"vote": {"levels": 99, "samples": 1}}, {}),
        ({"hybrid": {"levels": 15}}, {}),
        ({"input_encoding": 8}, {}),
        ({"input_encoding": 8}, {"weights": "parallel"}),
        ({"vote": {"levels": 1, "samples": 3}}, {"weights": "parallel"}),
        ({}, {"weights": "parallel", "domain": "current", "current": {"compression_per_mac": 0.1}}),
        ({"vote": {"levels": 1, "samples": 3, "how": "median"}}, {"adc": {"bits": "ideal"}, "noise": NONLINEAR}),
        ({"target": "integer", "input_encoding": 9, "hybrid": {"levels": 99}}, {}),
    ],
)
def test_possible_combinations(fields: dict, macro: dict):
    assert problems(settings(macro, **fields), True) == problems(settings(macro, **fields), None) == []


@pytest.mark.parametrize(("signed", "count"), [(True, 1), (False, 0), (None, 0)])
@pytest.mark.parametrize("target", ["analog", "integer"])
def test_one_bit_is_for_unsigned_inputs(signed: bool | None, count: int, target: str):
    assert len(problems(settings(input_bits=1, target=target), signed)) == count


@given(st.integers(2, 8), st.integers(2, 8), st.integers(1, 8), st.booleans(), st.integers(0, 20))
def test_most_hybrid_levels_are_those_of_the_bit_plan(
    weight_bits: int, input_bits: int, encoding: int, signed: bool, levels: int
):
    encoding = min(encoding, input_bits)
    plan = BitPlan.analog(weight_bits, input_plane_widths(input_bits, signed=signed, encoding=encoding))
    most = 1 + max(plan.level(i, j) for i, j, _ in plan.cells())
    given_settings = settings(
        weight_bits=weight_bits, input_bits=input_bits, input_encoding=encoding, hybrid={"levels": levels}
    )
    assert (problems(given_settings, signed) == []) == (levels <= most)


def test_an_analog_site_needs_a_macro():
    lost = SiteSettings.model_validate({"macro_name": "", "macro": {}})
    assert [conflict.fields for conflict in conflicts(lost, None)] == [("macro", "target")]


def test_rules_are_checked_on_top_of_the_defaults():
    text = f"""{SMALL}defaults:
  hybrid: {{levels: 3}}
rules:
  - match: {{op: qk}}
    vote: {{levels: 3, samples: 5}}
  - match: {{op: av}}
    why: nothing wrong here
  - match: {{op: conv}}
    macro: {{domain: current}}
  - match: {{op: linear}}
    input_encoding: 12
"""
    assert errors_of(text, "macros.m.noise.nonlinear_percent_fs=1") == [
        "chip.yaml:8: rules.0.vote.levels: `vote.levels: 3` votes on nothing: levels below `hybrid.levels: 3` are "
        "digital, and both count from level 0; use 4 or more",
        "chip.yaml:12: rules.2.macro.domain: `noise.nonlinear_percent_fs` is an effect of the charge domain, and "
        "`domain` is current; set one of them back",
        "chip.yaml:14: rules.3.input_encoding: `input_encoding: 12` is wider than the input, which has `input_bits: 8`",
        "3 errors",
    ]


def test_a_rule_that_another_can_complete_is_left_to_the_sites():
    text = f"""{SMALL}rules:
  - {{match: {{op: linear}}, input_bits: 12}}
  - {{match: {{name: head, op: linear}}, input_encoding: 12}}
"""
    assert len(parse_spec(text, "chip.yaml").rules) == 2


def test_defaults_must_hold_by_themselves():
    text = f"{SMALL}defaults: {{input_bits: 4, input_encoding: 8}}\nrules:\n  - {{match: {{}}, input_bits: 8}}\n"
    assert errors_of(text) == [
        "chip.yaml:4: defaults.input_encoding: `input_encoding: 8` is wider than the input, which has `input_bits: 4`"
    ]


def test_two_macros_and_no_choice():
    assert errors_of(SMALL.replace("{m: {}}", "{m: {}, n: {}}")) == [
        "chip.yaml:1: defaults: no macro is chosen for `target: analog`; give `macro` the name of one of `macros`"
    ]


def test_nothing_is_said_about_combinations_with_an_invalid_field():
    assert errors_of(f"{SMALL}defaults: {{input_bits: 99, input_encoding: 12}}\n") == [
        "chip.yaml:4: defaults.input_bits: must be a whole number from 1 to 16, not 99"
    ]


def test_undefined_macros_do_not_hide_other_errors():
    text = f"{SMALL}defaults: {{macro: n, weight_bits: 1}}\nrules:\n  - {{match: {{}}, macro: k}}\n"
    assert errors_of(text) == [
        "chip.yaml:4: defaults.macro: there is no macro `n`; known are m",
        "chip.yaml:4: defaults.weight_bits: `weight_bits: 1` leaves no bit for the magnitude, as weights are signed; "
        "use 2 or more",
        "chip.yaml:6: rules.0.macro: there is no macro `k`; known are m",
        "3 errors",
    ]
