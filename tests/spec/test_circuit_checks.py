"""Circuits that cannot be: every message names all fields that take part."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.errors import SpecError
from asim_fx.spec import HardwareSpec, load_spec, parse_spec
from asim_fx.spec.checks import spec_issues
from asim_fx.spec.circuit_checks import polynomial_thresholds

BASE = "version: 1\nname: x\nmacros: {m: {rows: 63, columns: 64}}\n"


def messages(*overrides: str) -> str:
    with pytest.raises(SpecError) as error:
        load_spec(parse_spec(BASE, "chip.yaml"), [f"macros.m.{override}" for override in overrides])
    return str(error.value)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["noise.random_percent_fs=1", "noise.enob=7"], ["noise.random_percent_fs", "noise.enob"]),
        (["noise.random_lsb_rms=1", "noise.sndr_db=40"], ["noise.random_lsb_rms", "noise.sndr_db"]),
        (["noise.enob=9"], ["noise.enob: 9", "adc.bits: 8"]),
        (["noise.sndr_db=60"], ["noise.sndr_db: 60", "9.67 effective bits", "adc.bits: 8"]),
        (["noise.sndr_db=1"], ["noise.sndr_db: 1", "above 0"]),
        (["noise.random_lsb_rms=1", "adc.bits=ideal"], ["noise.random_lsb_rms", "adc.bits: ideal"]),
        (["adc.offset_lsb=1", "adc.bits=ideal"], ["adc.offset_lsb", "adc.bits: ideal"]),
        (["adc.dnl_sigma_lsb=1", "adc.inl_polynomial_lsb=[0, 1]"], ["adc.dnl_sigma_lsb", "adc.inl_polynomial_lsb"]),
        (["adc.dnl_sigma_lsb=0.1", "adc.bits=13"], ["adc.dnl_sigma_lsb", "12 or less, not 13"]),
        (["adc.inl_polynomial_lsb=[0, -300]"], ["adc.inl_polynomial_lsb", "step to code 2", "must not fall"]),
        (["adc.range=window"], ["adc.range: window", "adc.window.high_mac"]),
        (["adc.window.high_mac=9"], ["adc.window.high_mac", "adc.range: window"]),
        (["adc.range=window", "adc.window.high_mac=64"], ["adc.window.high_mac: 64", "rows: 63"]),
        (["adc.range=window", "adc.window.high_mac=9", "adc.window.low_mac=9"], ["low_mac: 9", "high_mac: 9"]),
        (["adc.columns_per_adc=65"], ["adc.columns_per_adc: 65", "columns: 64"]),
        (["capacitors.unit_ff=1", "capacitors.mismatch_percent=1"], ["unit_ff", "mismatch_percent"]),
        (["capacitors.unit_ff=1", "domain=current"], ["capacitors.unit_ff", "domain"]),
        (["capacitors.unit_ff=1", "weights=parallel"], ["capacitors.unit_ff", "weights"]),
        (
            ["adc.range=window", "adc.window.high_mac=9", "adc.window.low_mac=2", "weights=parallel"],
            ["adc.window.low_mac: 2", "weights"],
        ),
        (["cells.stuck_at_0_percent=60", "cells.stuck_at_1_percent=60"], ["stuck_at_0", "stuck_at_1"]),
        (["bitline.gain=0"], ["bitline.gain"]),
        (["adc.bits=0"], ["whole number from 1 to 24, or `ideal`"]),
        (["adc.gain_sigma_percent=-1"], ["adc.gain_sigma_percent", "0 or more"]),
        (["capacitors.mismatch_percent=.nan"], ["capacitors.mismatch_percent"]),
    ],
)
def test_circuits_that_cannot_be(overrides: list[str], words: list[str]) -> None:
    found = messages(*overrides)
    assert all(word in found for word in words), found


def test_redrawn_capacitors_are_for_one_bit_planes() -> None:
    spec = parse_spec(BASE, "chip.yaml")
    changes = ["macros.m.capacitors.unit_ff=1", "macros.m.capacitors.mismatch=redrawn", "defaults.input_encoding=2"]
    assert load_spec(spec, changes[:2]).macros["m"].capacitors.mismatch == "redrawn"
    with pytest.raises(SpecError, match=r"capacitors.mismatch: redrawn.*input_encoding"):
        load_spec(spec, changes)


@pytest.mark.parametrize(
    "macro",
    [
        {"noise": {"enob": 7.5}},
        {"adc": {"range": "window", "window": {"low_mac": 3.0, "high_mac": 40.0}}},
        {"adc": {"inl_polynomial_lsb": [0.0, 2.0, -2.0], "offset_sigma_lsb": 0.5, "columns_per_adc": 8}},
        {"capacitors": {"unit_ff": 1.2}, "cells": {"stuck_at_1_percent": 0.01}, "bitline": {"gain": 0.9}},
    ],
)
def test_circuits_that_can_be(macro: dict[str, Any]) -> None:
    document = {"version": 1, "name": "x", "macros": {"m": {"rows": 63, **macro}}}
    assert spec_issues(HardwareSpec.model_validate(document)) == []


@given(st.lists(st.floats(-3, 3), max_size=4), st.integers(1, 8))
def test_a_polynomial_is_off_by_what_it_says(coefficients: list[float], bits: int) -> None:
    top = 2**bits - 1
    levels = polynomial_thresholds(coefficients, bits)
    assert len(levels) == top
    assert abs(levels[-1] - (top - 0.5 + sum(coefficients))) < 1e-9
