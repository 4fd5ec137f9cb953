"""Hybrid digital/analog partitioning (HCiM): compute the most significant cycles exactly."""

from __future__ import annotations

from dataclasses import replace

from torch.fx import GraphModule

from asim_fx.ir import BitPlan, SitePlan, Target, annotate, input_plane_widths, iter_plans
from asim_fx.pipeline import Fact, PassContext, graph_pass


@graph_pass(requires=[Fact.TILES], provides=[Fact.BITPLAN])
def partition_hybrid(graph_module: GraphModule, context: PassContext) -> bool:
    """Give every analog and integer site its BitPlan, with the cells below ``hybrid.levels`` DIGITAL.

    Example:
        8 x 8 planes and ``hybrid: {levels: 3}``: the 6 most significant of 64 cycles are digital, 58 stay analog.
    """
    for node, plan in iter_plans(graph_module.graph):
        if plan.target is not Target.FLOAT:
            annotate(node, plan=replace(plan, bits=_bits(plan)))
    return False


def _bits(plan: SitePlan) -> BitPlan:
    settings = plan.settings
    if plan.target is Target.ANALOG and settings.macro.weights == "parallel":
        return BitPlan.analog(1, (settings.input_bits,))
    widths = input_plane_widths(settings.input_bits, signed=plan.signed, encoding=settings.input_encoding)
    if plan.target is Target.INTEGER:
        bits = BitPlan.analog(settings.weight_bits, widths)
        return bits.with_digital(bits.weight_planes + bits.input_planes - 1)
    bits = settings.macro.layout.bit_plan(settings.weight_bits, widths, signed=plan.weight_signed)
    return bits.with_digital(settings.hybrid.levels)
