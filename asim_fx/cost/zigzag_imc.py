"""ADC delay and area, adders behind the ADC, and capacitances of cells, from ZigZag-IMC.

Source: Sun, Houshmand and Verhelst, "Analog or Digital In-Memory Computing? Benchmarking through Quantitative
Modeling", ICCAD 2023 (arXiv 2305.18335), and its published code (``AimcArrayUnit.py``, ``imc_unit.py``, BSD-3). Its
figures are those of 28 nm. Capacitances are scaled with the node here, which is our assumption; delay and area of the
converter are not scaled.
"""

from __future__ import annotations

import math

from asim_fx.cost.figure import Band

_REFERENCE_NM = 28.0
_NAND_FF = 0.7
_XOR_FF = 1.5 * _NAND_FF
_ADDER_FF = 3 * _NAND_FF + 2 * _XOR_FF
_REGISTER_FF = 3 * _NAND_FF
_CELL_LINE_FF = _NAND_FF / 2

GATES_BAND = Band(0.063, 1.02)
"""Measured over modelled energy of the four digital macros that its authors compare with (arXiv 2305.18335)."""
AREA_BAND = Band(0.95, 1.96)
"""Measured over modelled area of the three analog macros that its authors compare with (arXiv 2305.18335)."""
DELAY_BAND = Band.within(8.0)
"""80th percentile over the read times of 44 rows of 32 papers in the UIUC benchmark. The median is 1.8 times the
model: published macros are slower than their converters need to be."""


def conversion_ns(bits: int, rows: int) -> float:
    """Return the time of one conversion, in ns: ``bits`` steps, each of which settles a column of ``rows``."""
    return bits * (0.00653 * rows + 0.640)


def adc_area_mm2(bits: int) -> float:
    """Return the area of one converter, in mm2; a comparator, 1 bit, is neglected as in the source."""
    return 0.0 if bits == 1 else 10 ** (-0.0369 * bits + 1.206) * 2**bits * 1e-6


def place_value_adder_cells(codes: int, bits: int) -> float:
    """Return the full adders of the tree that adds the codes of one streamed plane, each shifted by its place.

    Args:
        codes: how many, one for each stored plane that is read.
        bits: of one code.
    """
    return 0.0 if codes <= 1 else bits * (codes - 1) + codes * (math.log2(codes) - 0.5)


def adders_energy_fj(cells: float, supply_v: float, node_nm: float) -> float:
    """Return the energy of full adders that all switch once, in fJ."""
    return cells * _ADDER_FF * supply_v**2 * node_nm / _REFERENCE_NM


def registers_energy_fj(cells: float, supply_v: float, node_nm: float) -> float:
    """Return the energy of one-bit registers that are clocked once, in fJ."""
    return cells * _REGISTER_FF * supply_v**2 * node_nm / _REFERENCE_NM


def cell_write_energy_fj(rows: int, supply_v: float, node_nm: float) -> float:
    """Return the energy of writing one cell, in fJ: one bitline of ``rows`` cells swings, and its share of a wordline.

    The source takes writes from CACTI; this is the swing of its own line capacitances, without decoders.
    """
    return _CELL_LINE_FF * (rows + 1) * supply_v**2 * node_nm / _REFERENCE_NM
