"""Energy of what is computed in digital logic: the digital cycles of HCiM, and integer sites."""

from __future__ import annotations

from asim_fx.cost import uiuc_fit
from asim_fx.cost.figure import NEEDS_TECHNOLOGY, Figure, unknown
from asim_fx.ir import DIGITAL, BitPlan, SitePlan
from asim_fx.spec.base import known

MODEL = "uiuc-fit, digital"
MOST_ROWS = 256
"""Elements of a digital dot product that the fit has seen; a longer one is cut evenly, its few additions neglected."""


def hybrid_energy_j(plan: SitePlan) -> Figure | None:
    """Return the energy of the digital cycles of an analog site, in J; None where there are none."""
    if plan.bits is None or not plan.bits.digital_cells:
        return None
    widths = [plan.bits.input_widths[j] for _, j, reads in plan.bits.cells() if reads == DIGITAL]
    weight_bits = plan.settings.weight_bits if _is_parallel(plan.bits) else 1
    each = [_dot_product_fj(plan, plan.settings.macro.rows, width * weight_bits) for width in widths]
    return _figure(each, plan.tiled_outputs)


def integer_energy_j(plan: SitePlan) -> Figure:
    """Return the energy of an integer site, in J: a digital macro that takes one bit of the input in each cycle."""
    site, settings = plan.site, plan.settings
    cycle = _dot_product_fj(plan, site.k, settings.weight_bits)
    return _figure([cycle] * settings.input_bits, site.macs // site.k if site.k else 0)


def _figure(each_fj: list[float | None], times: int) -> Figure:
    if None in each_fj:
        return unknown(NEEDS_TECHNOLOGY)
    energy = sum(value for value in each_fj if value is not None)
    return Figure(1e-15 * energy * times, MODEL, uiuc_fit.DIGITAL_BAND)


def _dot_product_fj(plan: SitePlan, elements: int, products_per_element: int) -> float | None:
    cost = plan.settings.macro.cost
    node, supply = known(cost.node_nm), known(cost.supply_v)
    if node is None or supply is None:
        return None
    pieces = -(-elements // MOST_ROWS)
    return pieces * uiuc_fit.digital_energy_fj(elements / pieces * products_per_element, supply, node)


def _is_parallel(bits: BitPlan) -> bool:
    return bits.weight_planes == bits.input_planes == 1
