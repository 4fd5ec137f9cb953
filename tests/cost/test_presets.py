"""The energy of a site on each published chip gives back the efficiency that was published for it."""

from __future__ import annotations

import math

import pytest

from asim_fx.cost.estimate import site_cost
from asim_fx.ir import BitPlan, SitePlan, Target, input_plane_widths
from asim_fx.passes.tile_arrays import tile
from asim_fx.spec.base import known
from asim_fx.spec.loader import load_spec, shipped_names
from asim_fx.spec.merge import merge
from tests.cost.plans import site

CHIPS = [spec for spec in map(load_spec, shipped_names()) if spec.chip is not None]
POINTS = [
    (spec.name, number)
    for spec in CHIPS
    for number, point in enumerate(spec.macros["m"].cost.measured)
    if known(point.tops_per_w) is not None and known(point.energy_fj_per_read) is not None
]


def test_at_least_12_chips_can_be_checked():
    assert len({name for name, _ in POINTS}) >= 12


@pytest.mark.parametrize(("name", "number"), POINTS)
def test_a_full_array_has_the_published_efficiency(name: str, number: int):
    """All rows and columns of one macro in use, an unsigned input: 2 operations for each MAC, by energy of the bank."""
    point = load_spec(name).macros["m"].cost.measured[number]
    settings = merge(load_spec(name, [f"macros.m.cost.supply_v={point.supply_v}"]), ()).settings
    macro, parallel = settings.macro, settings.macro.weights == "parallel"
    input_bits, weight_bits = point.tops_per_w_input_bits, point.tops_per_w_weight_bits
    made = site(k=macro.rows, n=max(1, macro.columns // settings.weight_bits), vectors=3)
    widths = (
        (input_bits,) if parallel else input_plane_widths(input_bits, signed=False, encoding=point.input_bits_per_read)
    )
    # A parallel macro of fewer bits than are quoted takes several reads for a weight or an input.
    stored = math.ceil(weight_bits / point.weight_bits_per_read)
    plan = SitePlan(
        site=made,
        target=Target.ANALOG,
        settings=settings,
        tiles=tile(made, rows=macro.rows, columns=macro.columns, output_columns=settings.weight_bits),
        bits=BitPlan.analog(stored, widths),
    )
    energy = site_cost(plan).energy
    assert all(part.model.startswith("measured") for part in (energy.column, energy.adc, energy.array) if part)
    assert 2e-12 * made.macs / energy.bank_j == pytest.approx(point.tops_per_w, rel=0.05)


@pytest.mark.parametrize("spec", CHIPS, ids=lambda spec: spec.name)
def test_every_number_has_a_source_or_is_said_to_have_none(spec):
    chip = spec.chip
    assert chip.title
    assert chip.venue
    assert chip.year
    written = ["rows", "columns", "adc.bits", "noise.random_percent_fs", "noise.nonlinear_percent_fs", "domain", "cost"]
    paths = [f"macros.m.{name}" for name in written]
    paths += [f"defaults.{name}" for name in ("weight_bits", "input_bits")]
    assert [path for path in paths if not chip.source_of(path)] == []
    assert all(point.source for point in spec.macros["m"].cost.measured)


@pytest.mark.parametrize("spec", CHIPS, ids=lambda spec: spec.name)
def test_a_chip_has_technology_exactly_where_it_was_published(spec):
    cost, source = spec.macros["m"].cost, spec.chip.source_of("macros.m.cost")
    assert (known(cost.node_nm) is None) == (source == "unknown")
    if "random_percent_fs" not in spec.macros["m"].noise.model_fields_set:
        assert spec.chip.source_of("macros.m.noise.random_percent_fs") == "unknown"


def test_noise_is_the_published_one_in_percent_of_full_scale():
    for name, lsb, bits in (("jia-isscc2021", 0.68, 8), ("lee-vlsi2021", 0.98, 8), ("cr-cim-vlsi2023", 0.58, 10)):
        noise = load_spec(name).macros["m"].noise.random_percent_fs
        assert noise == pytest.approx(100 * lsb / (2**bits - 1), rel=1e-3)
