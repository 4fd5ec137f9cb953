"""Energy of one conversion of one column, array included: the fit to the UIUC benchmark of published macros.

Source: ``scripts/build-energy-fit.py`` of UIUC-IMC-Benchmarking, a log-domain least-squares fit to the column energies
that Shanbhag and Roy collected (Benchmarking In-Memory Computing Architectures, IEEE OJ-SSCS 2022):

    analog    E_col = k1 B (node/28)^2 + a N V^2 (node/28)^q
    digital   E_col = a (N Bx Bw)^b V^2 (node/28)^c

Bands are the fit's own leave-one-paper-out errors, 80th percentile by circuit.
"""

from __future__ import annotations

import math
from typing import Literal

from asim_fx.cost.figure import Band

Circuit = Literal["charge-redistribution", "charge-summing", "current"]

_REFERENCE_NM = 28.0
_ADC_FJ_PER_BIT = 8.39655
_ADC_NODE_EXPONENT = 2.0
_ARRAY_FJ_PER_ROW: dict[Circuit, float] = {
    "charge-redistribution": 6.95096,
    "charge-summing": 10.7547,
    "current": 12.9758,
}
_ARRAY_NODE_EXPONENT = -0.08239
_DIGITAL_FJ, _DIGITAL_EXPONENT, _DIGITAL_NODE_EXPONENT = 0.246588, 1.314, 0.0999

BANDS: dict[Circuit, Band] = {
    "charge-redistribution": Band.within(3.9),
    "charge-summing": Band.within(6.9),
    "current": Band.within(2.4),
}
DIGITAL_BAND = Band.within(2.5)


def adc_energy_fj(bits: float, node_nm: float) -> float:
    """Return the converter's part of a conversion, in fJ.

    Args:
        bits: of the converter.
        node_nm: technology.
    """
    return _ADC_FJ_PER_BIT * bits * math.pow(node_nm / _REFERENCE_NM, _ADC_NODE_EXPONENT)


def array_energy_fj(rows: int, supply_v: float, node_nm: float, circuit: Circuit) -> float:
    """Return the part of a column of cells and of its drivers, in fJ: all rows, however few a tile uses.

    Args:
        rows: that add up on the column.
        supply_v: supply voltage.
        node_nm: technology.
        circuit: how the column adds up.
    """
    scale = math.pow(node_nm / _REFERENCE_NM, _ARRAY_NODE_EXPONENT)
    return _ARRAY_FJ_PER_ROW[circuit] * rows * supply_v**2 * scale


def digital_energy_fj(products: float, supply_v: float, node_nm: float) -> float:
    """Return the energy of one digital dot product, in fJ.

    Args:
        products: elements x bits of the input x bits of the weight; the published rows have 64 to 4,096.
        supply_v: supply voltage.
        node_nm: technology.
    """
    scale = math.pow(node_nm / _REFERENCE_NM, _DIGITAL_NODE_EXPONENT)
    return _DIGITAL_FJ * math.pow(products, _DIGITAL_EXPONENT) * supply_v**2 * scale
