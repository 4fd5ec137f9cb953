"""Majority voting: read the most significant analog cycles several times."""

from __future__ import annotations

from dataclasses import replace

from torch.fx import GraphModule

from asim_fx.ir import Target, annotate, iter_plans
from asim_fx.pipeline import Fact, PassContext, graph_pass


@graph_pass(requires=[Fact.BITPLAN], provides=[Fact.VOTED])
def vote_msbs(graph_module: GraphModule, context: PassContext) -> bool:
    """Mark the analog cells below ``vote.levels`` as VOTED(``vote.samples``). Digital cells stay digital.

    Example:
        ``hybrid: {levels: 2}, vote: {levels: 4, samples: 3}`` on 8 x 8 planes: 3 cells digital, 7 read three times.
    """
    for node, plan in iter_plans(graph_module.graph):
        vote = plan.settings.vote
        if plan.target is not Target.ANALOG or plan.bits is None or not vote.levels:
            continue
        annotate(node, plan=replace(plan, bits=plan.bits.with_votes(vote.levels, vote.samples, vote.how)))
    return False
