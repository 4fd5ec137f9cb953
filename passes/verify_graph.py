"""Check that the lowered graph is whole, and drop what nothing uses any more."""

from __future__ import annotations

from torch.fx import GraphModule

from asim_fx.errors import PipelineError
from asim_fx.ir import Target, iter_plans, iter_sites
from asim_fx.pipeline import Fact, PassContext, graph_pass


@graph_pass(requires=[Fact.LOWERED, Fact.TRAINABLE], provides=[Fact.VERIFIED])
def verify_graph(graph_module: GraphModule, context: PassContext) -> bool:
    """Remove dead nodes and unused modules; every analog or integer plan must be a call of its module, and no other.

    Raises:
        PipelineError: a site has no plan, or a plan was not lowered. All are named.
    """
    graph = graph_module.graph
    planned = {node for node, _ in iter_plans(graph)}
    problems = [f"{site.label} has no plan" for node, site in iter_sites(graph) if node not in planned]
    for node, plan in iter_plans(graph):
        lowered = node.op == "call_module"
        if lowered is (plan.target is Target.FLOAT):
            problems.append(f"{plan.site.label} is {plan.target.value} but is {node.op} in the graph")
    if problems:
        raise PipelineError("the lowered graph is not whole:\n  " + "\n  ".join(problems))
    changed = bool(graph.eliminate_dead_code())
    graph_module.delete_all_unused_submodules()
    return changed
