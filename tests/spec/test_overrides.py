from __future__ import annotations

import pytest

from asim_fx.spec.loader import parse_spec
from asim_fx.spec.overrides import apply_overrides
from tests.spec.documents import CONTRACT, SMALL, errors_of


def test_values_are_yaml_and_typed():
    overrides = ["macros.m.adc.bits=ideal", "rules.2.vote.levels=3", "defaults.signed=false", "name=12 bits"]
    spec = parse_spec(CONTRACT, "chip.yaml", overrides)
    assert spec.macros["m"].adc.bits == "ideal"
    assert spec.rules[2].vote.levels == 3
    assert spec.defaults.signed is False
    assert spec.name == "12 bits"
    assert spec.origin.overrides == tuple(overrides)


def test_missing_mappings_are_made():
    spec = parse_spec(SMALL, "chip.yaml", ["defaults.vote.levels=3", "macros.m.adc.bits=4"])
    assert spec.defaults.vote.levels == 3
    assert spec.macros["m"].adc.bits == 4


def test_the_last_one_wins():
    assert parse_spec(SMALL, "chip.yaml", ["macros.m.rows=4", "macros.m.rows=5"]).macros["m"].rows == 5


def test_a_whole_mapping_can_be_set():
    spec = parse_spec(
        CONTRACT, "chip.yaml", ["macros.fine={adc: {bits: 12}}", "rules.1={match: {op: av}, macro: fine}"]
    )
    assert spec.macros["fine"].adc.bits == 12
    assert spec.origin.where("rules.1.macro") == "--set rules.1={match: {op: av}, macro: fine}"


def test_the_document_is_left_as_it_is():
    data = {"a": {"b": 1}}
    assert apply_overrides(data, {}, ["a.b=2"]).data == {"a": {"b": 2}}
    assert data == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("macros.m.adc.bits=0", "macros.m.adc.bits: must be a whole number from 1 to 24, or `ideal`, not 0"),
        (
            "macros.m.adc.bits='6'",
            "macros.m.adc.bits: must be a whole number from 1 to 24, or `ideal`, not the text '6'",
        ),
        ("macros.m.adc.bit=6", "macros.m.adc.bit: there is no field `bit`; did you mean `bits`?"),
        ("macros.m.acd.bits=6", "macros.m.acd: there is no field `acd`; did you mean `adc`?"),
        ("macros.n.adc.bits=6", "macros.n.adc.bits: there is no macro `n`; known are m"),
        ("default.macro=m", "default: there is no field `default`; did you mean `defaults`?"),
        ("rules.3.why=x", "rules.3.why: `rules.3` does not exist: the list has 3 items, numbered from 0"),
        ("rules.first.why=x", "rules.first.why: `rules.first` does not exist: the list has 3 items, numbered from 0"),
        ("defaults.weight_bits.x=3", "defaults.weight_bits.x: `defaults.weight_bits` is 8, which has no fields"),
        ("defaults.macro=x", "defaults.macro: there is no macro `x`; known are m"),
        ("defaults.macro", "must look like `path.to.field=value`, for example `defaults.weight_bits=6`"),
        ("=3", "must look like `path.to.field=value`, for example `defaults.weight_bits=6`"),
        (
            "defaults..macro=m",
            "defaults..macro: must look like `path.to.field=value`, for example `defaults.weight_bits=6`",
        ),
    ],
)
def test_errors_name_the_flag(override: str, message: str):
    assert errors_of(CONTRACT, override) == [f"--set {override}: {message}"]


def test_broken_yaml_in_a_value():
    (line,) = errors_of(CONTRACT, "name=[1")
    assert line.startswith("--set name=[1: name: this is not YAML: ")


def test_all_bad_overrides_are_told():
    assert len(errors_of(CONTRACT, "name=3", "x", "macros.m.rows=0")) == 4
