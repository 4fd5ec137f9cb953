"""The shipped specs say what their names promise."""

from __future__ import annotations

import pytest

from asim_fx.spec.loader import load_spec, shipped_names
from asim_fx.spec.merge import merge


def test_what_ships():
    chips = [name for name in shipped_names() if load_spec(name).chip is not None]
    assert set(shipped_names()) - set(chips) == {"generic-255x8b", "generic-256x7b-hybrid", "ideal"}
    assert len(chips) >= 12


@pytest.mark.parametrize("name", shipped_names())
def test_a_spec_is_named_as_its_file(name: str):
    assert load_spec(name).name == name


@pytest.mark.parametrize("name", shipped_names())
def test_all_fit_models_of_any_kind(name: str):
    spec = load_spec(name)
    assert spec.description
    assert all(rule.optional and rule.why for rule in spec.rules)


def test_ideal_has_no_converter_and_no_noise():
    settings = merge(load_spec("ideal"), ()).settings
    assert settings.macro.adc.bits == "ideal"
    assert settings.macro.noise.random_percent_fs == settings.macro.noise.nonlinear_percent_fs == 0
    assert load_spec("ideal").rules == []


def test_generic_255x8b_is_the_readme_of_asim():
    spec = load_spec("generic-255x8b")
    settings = merge(spec, ()).settings
    assert (settings.weight_bits, settings.input_bits, settings.input_encoding) == (8, 8, 1)
    assert (settings.macro.rows, settings.macro.adc.bits) == (255, 8)
    assert (settings.macro.noise.random_percent_fs, settings.macro.noise.nonlinear_percent_fs) == (0.05, 0.05)
    (stem,) = spec.rules
    assert (stem.match.name, stem.settings) == ("@first_conv", {"target": "integer"})


def test_generic_256x7b_hybrid_uses_both_remedies():
    spec = load_spec("generic-256x7b-hybrid")
    settings = merge(spec, ()).settings
    assert (settings.macro.rows, settings.macro.adc.bits) == (256, 7)
    assert settings.macro.noise.random_percent_fs > 0
    assert 0 < settings.hybrid.levels < settings.vote.levels
    assert settings.vote.samples > 1
    assert {"qk", "av"} <= {rule.match.op for rule in spec.rules}
