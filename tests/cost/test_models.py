"""The formulas against figures computed by hand, or stated by their sources."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asim_fx.cost import accelergy_adc, uiuc_fit, zigzag_imc

NODES = st.floats(5, 180)
SUPPLIES = st.floats(0.4, 1.8)


def test_uiuc_fit_at_its_reference_node():
    assert uiuc_fit.adc_energy_fj(8, 28) == pytest.approx(67.1724)
    assert uiuc_fit.array_energy_fj(256, 1.0, 28, "charge-redistribution") == pytest.approx(256 * 6.95096)
    assert uiuc_fit.array_energy_fj(100, 0.5, 28, "charge-summing") == pytest.approx(25 * 10.7547)
    assert uiuc_fit.array_energy_fj(1, 1.0, 28, "current") == pytest.approx(12.9758)
    assert uiuc_fit.digital_energy_fj(1, 1.0, 28) == pytest.approx(0.246588)


def test_uiuc_fit_scales_with_the_node_as_it_says():
    assert uiuc_fit.adc_energy_fj(8, 56) == pytest.approx(4 * uiuc_fit.adc_energy_fj(8, 28))
    ratio = uiuc_fit.array_energy_fj(9, 1, 56, "current") / uiuc_fit.array_energy_fj(9, 1, 28, "current")
    assert ratio == pytest.approx(2**-0.08239)


def test_digital_fit_meets_published_macros_within_its_band():
    # Rows 64, 93 and 102 of the UIUC benchmark: N x Bx x Bw, supply, measured fJ.
    for products, supply, measured in ((512, 0.8, 584.37), (1024, 0.9, 842.11), (4096, 0.65, 6513.99)):
        assert uiuc_fit.DIGITAL_BAND.contains(measured / uiuc_fit.digital_energy_fj(products, supply, 28))


@pytest.mark.parametrize(
    ("bits", "node", "picojoules"),
    [(8, 65, 6.49), (8, 28, 1.33), (8, 22, 0.847), (8, 7, 0.098), (6, 28, 0.829), (4, 28, 0.719)],
)
def test_accelergy_gives_what_its_coefficients_give(bits: int, node: float, picojoules: float):
    assert accelergy_adc.energy_pj(bits, node, 1e8) == pytest.approx(picojoules, rel=5e-3)


def test_accelergy_area():
    energy = accelergy_adc.energy_pj(8, 28, 1e8)
    assert accelergy_adc.area_um2(energy, 28, 1e8) == pytest.approx(3.2e3, rel=0.02)


def test_accelergy_has_no_coarse_converters():
    with pytest.raises(ValueError, match="from 4 bits on"):
        accelergy_adc.energy_pj(3, 28, 1e8)


def test_zigzag_by_hand():
    assert zigzag_imc.conversion_ns(8, 256) == pytest.approx(8 * (0.00653 * 256 + 0.640))
    assert zigzag_imc.adc_area_mm2(8) == pytest.approx(10 ** (1.206 - 0.2952) * 256e-6)
    assert zigzag_imc.adc_area_mm2(1) == 0
    assert zigzag_imc.place_value_adder_cells(8, 8) == 8 * 7 + 8 * 2.5
    assert zigzag_imc.place_value_adder_cells(1, 8) == 0
    assert zigzag_imc.adders_energy_fj(1, 1.0, 28) == pytest.approx(3 * 0.7 + 2 * 1.05)
    assert zigzag_imc.registers_energy_fj(1, 1.0, 28) == pytest.approx(2.1)
    assert zigzag_imc.cell_write_energy_fj(99, 1.0, 28) == pytest.approx(35.0)


@given(st.integers(4, 15), NODES, SUPPLIES, st.integers(1, 4096))
def test_every_model_grows_with_bits_rows_and_supply(bits: int, node: float, supply: float, rows: int):
    assert uiuc_fit.adc_energy_fj(bits + 1, node) > uiuc_fit.adc_energy_fj(bits, node)
    assert accelergy_adc.energy_pj(bits + 1, node, 1e8) > accelergy_adc.energy_pj(bits, node, 1e8)
    assert zigzag_imc.adc_area_mm2(bits + 1) > zigzag_imc.adc_area_mm2(bits)
    assert zigzag_imc.conversion_ns(bits + 1, rows) > zigzag_imc.conversion_ns(bits, rows)
    for circuit in uiuc_fit.BANDS:
        energy = uiuc_fit.array_energy_fj(rows, supply, node, circuit)
        assert uiuc_fit.array_energy_fj(rows + 1, supply, node, circuit) > energy
        assert uiuc_fit.array_energy_fj(rows, supply * 1.1, node, circuit) > energy
