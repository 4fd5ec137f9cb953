"""Give every ReLU a learned upper bound: PACT, from which quantisers take a fixed scale."""

from __future__ import annotations

import torch
from torch import nn
from torch.fx import GraphModule, Node

from asim_fx.graph.edit import aten, call_op, free_name, get_tensor, owner_of, packet_of, store
from asim_fx.ir import annotate
from asim_fx.pipeline import Fact, PassContext, graph_pass

ALPHA = "pact_alpha"
"""Name of the bound, beside the ReLU that it belongs to."""
ALPHA_START = 6.0


@graph_pass(requires=[Fact.FOLDED], provides=[Fact.CLIPPED])
def insert_pact(graph_module: GraphModule, context: PassContext) -> bool:
    """Clip the result of every ReLU at a parameter of its own. Does nothing unless ``context.pact``.

    Example:
        ``relu(x)`` in ``layer1.act`` becomes ``clamp_max(relu(x), layer1.act.pact_alpha)``.

    The gradient of the bound is the sum of the gradient where ``x`` is above it, which is what torch's ``clamp_max``
    computes (Choi et al., PACT, arXiv:1805.06085, equation 4). A ReLU that is called several times has a bound for each
    call; ReLU6 and other clamps stay as they are.
    """
    if not context.pact:
        return False
    graph = graph_module.graph
    rectified = [node for node in graph.nodes if packet_of(node) in (aten.relu, aten.relu_)]
    for node in rectified:
        _clip(graph_module, node)
    if not rectified:
        context.log.note(context.prefix, "PACT: the model has no ReLU, so nothing is clipped")
    return bool(rectified)


def _clip(graph_module: GraphModule, node: Node) -> None:
    graph, owner = graph_module.graph, owner_of(node)[0]
    path = free_name(graph_module, f"{owner}.{ALPHA}" if owner else ALPHA)
    store(graph_module, path, nn.Parameter(torch.tensor(ALPHA_START)))
    with graph.inserting_after(node):
        bound = get_tensor(graph, graph_module, path, like=node)
    annotate(bound, nonnegative="PACT")
    with graph.inserting_after(bound):
        clipped = call_op(graph, aten.clamp_max.Tensor, (node, bound), like=node)
    node.replace_all_uses_with(clipped, delete_user_cb=lambda user: user is not clipped)
