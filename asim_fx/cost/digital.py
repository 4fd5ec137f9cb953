"""Energy of what is computed in digital logic: the digital cycles of HCiM, and integer sites."""

from __future__ import annotations

import math
from dataclasses import replace

from asim_fx.cost import uiuc_fit
from asim_fx.cost.figure import NEEDS_TECHNOLOGY, Figure, unknown
from asim_fx.encoding import digit_widths, subtracts_input_sum
from asim_fx.ir import DIGITAL, SitePlan
from asim_fx.spec.base import known

MODEL = "uiuc-fit, digital"
MOST_ROWS = 256
"""Elements of a digital dot product that the fit has seen; a longer one is cut evenly, its few additions neglected."""


def hybrid_energy_j(plan: SitePlan) -> Figure | None:
    """Return the energy of the digital part of an analog site, in J; None where there is none.

    That is its digital cycles, and in offset binary the sum of the inputs of each row tile, which all outputs share.
    """
    if plan.bits is None:
        return None
    digits, inputs, rows = digit_widths(plan), plan.bits.input_widths, plan.settings.macro.rows
    cycles = [
        _dot_product_fj(plan, rows, inputs[j] * digits[i]) for i, j, reads in plan.bits.cells() if reads == DIGITAL
    ]
    parts = [_figure(cycles, plan.tiled_outputs)] if cycles else []
    if subtracts_input_sum(plan):
        sums = [_dot_product_fj(plan, rows, width) for width in inputs]
        parts.append(_figure(sums, plan.tiled_outputs // plan.site.n))
    return _together(parts)


def _together(parts: list[Figure]) -> Figure | None:
    if not parts or parts[0].value is None:
        return parts[0] if parts else None
    return replace(parts[0], value=math.fsum(part.value for part in parts if part.value is not None))


def integer_energy_j(plan: SitePlan) -> Figure:
    """Return the energy of an integer site, in J: a digital macro that takes one bit of the input in each cycle."""
    site, settings = plan.site, plan.settings
    cycle = _dot_product_fj(plan, site.k, settings.weight_bits)
    return _figure([cycle] * settings.input_bits, site.macs // site.k if site.k else 0)


def _figure(each_fj: list[float | None], times: int) -> Figure:
    if None in each_fj:
        return unknown(NEEDS_TECHNOLOGY)
    energy = math.fsum(value for value in each_fj if value is not None)
    return Figure(1e-15 * energy * times, MODEL, uiuc_fit.DIGITAL_BAND)


def _dot_product_fj(plan: SitePlan, elements: int, products_per_element: int) -> float | None:
    cost = plan.settings.macro.cost
    node, supply = known(cost.node_nm), known(cost.supply_v)
    if node is None or supply is None:
        return None
    pieces = -(-elements // MOST_ROWS)
    return pieces * uiuc_fit.digital_energy_fj(elements / pieces * products_per_element, supply, node)
