"""Energy of writing stored operands into the cells."""

from __future__ import annotations

from asim_fx.cost import zigzag_imc
from asim_fx.cost.figure import NEEDS_TECHNOLOGY, Figure, unknown
from asim_fx.encoding import columns_per_output
from asim_fx.ir import SitePlan
from asim_fx.spec.base import known
from asim_fx.spec.schema import Macro

MODEL = "zigzag-imc line capacitance"


def cell_rows(macro: Macro) -> int:
    """Return the rows of cells of an array: more than are read at once, where the spec says so."""
    rows = macro.cost.cell_rows
    return macro.rows if rows == "unknown" else rows


def write_energy_j(plan: SitePlan) -> Figure:
    """Return the energy of writing the stored operand of an analog site once, in J.

    Activations (Q of QK^T, V of AV) are written for every image. Weights are written once: here every site has arrays
    of its own, so that they stay. What brings them to the chip is not included.
    """
    settings, site = plan.settings, plan.site
    node, supply = known(settings.macro.cost.node_nm), known(settings.macro.cost.supply_v)
    if node is None or supply is None:
        return unknown(NEEDS_TECHNOLOGY)
    cells = site.k * site.n * site.groups * columns_per_output(plan)
    energy_fj = zigzag_imc.cell_write_energy_fj(cell_rows(settings.macro), supply, node)
    return Figure(1e-15 * energy_fj * cells, MODEL, zigzag_imc.GATES_BAND)
