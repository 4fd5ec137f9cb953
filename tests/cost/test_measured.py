from __future__ import annotations

import pytest

from asim_fx.cost.column import read_energy
from asim_fx.cost.figure import MEASURED
from asim_fx.cost.latency import read_ns
from asim_fx.spec.loader import load_spec
from asim_fx.spec.merge import merge


def settings(*overrides: str):
    return merge(load_spec("jia-jssc2020", overrides), ()).settings


def test_a_chip_used_as_it_was_measured_has_its_own_figures():
    found = read_energy(settings())
    assert (found.adc.value, found.array.value, found.value_fj) == (1790, 9700, 11490)
    assert found.adc.band == MEASURED
    assert found.adc.model.startswith("measured at 0.85 V")
    assert read_ns(settings()).value == 1750


def test_each_supply_has_its_own_figures():
    assert read_energy(settings("macros.m.cost.supply_v=1.2")).value_fj == 23960


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("macros.m.cost.supply_v=1.0", "supply_v 1.0, measured at 0.85"),
        ("macros.m.adc.bits=7", "adc.bits 7, measured at 8"),
        ("macros.m.rows=1024", "rows 1024, measured at 2304"),
        ("defaults.input_encoding=2", "input bits of a read 2, measured at 1"),
    ],
)
def test_another_condition_is_modelled_and_said_to_be(change: str, words: str):
    found = read_energy(settings(change))
    assert found.array.model.startswith("uiuc-fit")
    assert found.note == f"not as measured: {words}"


def test_only_measured_means_unknown_elsewhere():
    found = read_energy(settings("macros.m.cost.model=measured", "macros.m.adc.bits=7"))
    assert found.value_fj is None
    assert "measured at 8" in found.column.model


def test_a_formula_can_be_asked_for():
    assert read_energy(settings("macros.m.cost.model=uiuc")).adc.model.startswith("uiuc-fit")
    assert read_energy(settings("macros.m.cost.model=accelergy")).adc.model == "accelergy-adc"
