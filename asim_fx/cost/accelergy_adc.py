"""The ADC model of Accelergy, a regression over Murmann's survey of published converters.

Source: Andrulis, Chen, Lee, Emer and Sze, "Modeling Analog-Digital-Converter Energy and Area for Compute-In-Memory
Accelerator Design", arXiv 2404.06553, and the coefficients of ``accelergy-adc-plug-in`` (``adc_data/model.yaml``, MIT).
Its energy is that of the best converters; the bands are the 10th to the 90th percentile of published over modelled.
"""

from __future__ import annotations

import math

from asim_fx.cost.figure import Band

LEAST_BITS = 4
"""The regression has no converters below."""

ENERGY_BAND = Band(0.34, 20.0)


def energy_pj(bits: float, node_nm: float, frequency_hz: float) -> float:
    """Return the energy of one conversion, in pJ.

    The figure of merit is what speed allows, or what resolution allows, whichever is worse.

    Args:
        bits: effective bits, 4 or more.
        node_nm: technology.
        frequency_hz: conversions per second.

    Raises:
        ValueError: fewer bits than the model has converters for.
    """
    if bits < LEAST_BITS:
        message = f"the model holds from {LEAST_BITS} bits on, not for {bits}"
        raise ValueError(message)
    sndr_db = 6.0206 * bits + 1.7609
    merit_db = min(213.78067 - 2.87190 * math.log(frequency_hz), 128.30683 + 3.22051 * math.ceil(bits))
    correction = math.exp(26.04962 + 1.88004 * math.log(node_nm) - 2.82913 * math.log(bits) - 1.47020)
    return 0.5 * 10 ** ((sndr_db - merit_db) / 10) * correction


AREA_BAND = Band.within(67.0)
"""The 90th percentile of published over modelled area; its median is 5.9."""


def area_um2(energy_of_one_pj: float, node_nm: float, frequency_hz: float) -> float:
    """Return the area of one converter, in um2, from its energy for one conversion."""
    exponent = 1.34619 + 0.99328 * math.log(node_nm) + 0.18072 * math.log(frequency_hz)
    return math.exp(exponent + 0.29912 * math.log(energy_of_one_pj))
