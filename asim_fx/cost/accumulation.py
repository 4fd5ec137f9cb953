"""Energy of adding up codes: over stored planes, streamed planes and row tiles, and of counting votes."""

from __future__ import annotations

import math

from asim_fx.cost import zigzag_imc
from asim_fx.cost.figure import NEEDS_TECHNOLOGY, NO_CONVERTER, Figure, unknown
from asim_fx.encoding import subtracts_input_sum
from asim_fx.ir import BitPlan, SitePlan
from asim_fx.spec.base import known

MODEL = "zigzag-imc adders"


def accumulation_energy_j(plan: SitePlan) -> Figure:
    """Return the energy of the adders behind the converters of an analog site, in J.

    For each streamed plane, a tree adds the codes of the stored planes, and an accumulator adds the result to those
    before. A vote adds one code and keeps it, for each read after the first. Offset binary subtracts the sum of the
    inputs once.
    """
    settings = plan.settings
    bits, cost = settings.macro.adc.bits, settings.macro.cost
    node, supply = known(cost.node_nm), known(cost.supply_v)
    if plan.bits is None or bits == "ideal":
        return unknown(NO_CONVERTER)
    if node is None or supply is None:
        return unknown(NEEDS_TECHNOLOGY)
    width = settings.input_bits + settings.weight_bits + math.log2(settings.macro.rows)
    adders, registers = _cells(plan.bits, bits, width)
    adders += width if subtracts_input_sum(plan) else 0.0
    energy_fj = zigzag_imc.adders_energy_fj(adders, supply, node)
    energy_fj += zigzag_imc.registers_energy_fj(registers, supply, node)
    return Figure(1e-15 * energy_fj * plan.tiled_outputs, MODEL, zigzag_imc.GATES_BAND)


def _cells(plan: BitPlan, code_bits: int, width: float) -> tuple[float, float]:
    """Return (full adders, registers) that work for one output of one row tile."""
    adders = registers = 0.0
    for plane in zip(*plan.reads, strict=True):
        codes = sum(reads > 0 for reads in plane)
        votes = sum(reads - 1 for reads in plane if reads > 1)
        adders += zigzag_imc.place_value_adder_cells(codes, code_bits) + votes * code_bits
        registers += votes * code_bits
        if codes:
            adders += width
            registers += width
    return adders, registers
