"""Find which sites read values that PACT has clipped: their scale is the bound."""

from __future__ import annotations

from dataclasses import replace

from torch.fx import GraphModule, Node

from asim_fx.graph.edit import aten, packet_of
from asim_fx.ir import OpKind, annotate, annotation_of, iter_sites
from asim_fx.passes.insert_pact import ALPHA
from asim_fx.pipeline import Fact, PassContext, graph_pass

_KEEPS_BOUND = frozenset(
    {
        *(aten.view, aten.reshape, aten.flatten, aten.unflatten, aten.squeeze, aten.unsqueeze),
        *(aten.permute, aten.transpose, aten.contiguous, aten.clone, aten.alias, aten.slice, aten.select),
        *(aten.max_pool1d, aten.max_pool2d, aten.max_pool3d),
        *(aten.adaptive_max_pool1d, aten.adaptive_max_pool2d, aten.adaptive_max_pool3d),
        *(aten.avg_pool1d, aten.adaptive_avg_pool1d, aten.adaptive_avg_pool2d, aten.adaptive_avg_pool3d, aten.mean),
        *(aten.dropout, aten.dropout_, aten.feature_dropout, aten.feature_dropout_),
    }
)
"""Operations whose result lies within the bound of their operand; behind dropout in training, within
``bound / (1 - p)``, which ``restore_training`` sees to."""


@graph_pass(requires=[Fact.CLIPPED, Fact.SITES], provides=[Fact.CLIPS])
def trace_clips(graph_module: GraphModule, context: PassContext) -> bool:
    """Note at every convolution and linear the bound of what it reads, where there is one.

    Example:
        in ``conv2d(max_pool2d(clamp_max(relu(x), act.pact_alpha)), w)`` the site's ``input_clip`` is
        ``act.pact_alpha``.
    """
    found = False
    for node, site in iter_sites(graph_module.graph):
        bound = bound_of(node.args[0])[0] if site.kind in (OpKind.CONV, OpKind.LINEAR) else None
        if bound is not None and site.static_weight:
            annotate(node, site=replace(site, input_clip=str(bound.target)))
            found = True
    return found


def bound_of(value: object) -> tuple[Node | None, list[Node]]:
    """Return the learned bound of a value, or None, and the calls that lie between the two."""
    passed = []
    while isinstance(value, Node) and packet_of(value) in _KEEPS_BOUND:
        passed.append(value)
        value = value.args[0]
    if isinstance(value, Node) and packet_of(value) is aten.clamp_max:
        bound = value.args[1]
        if isinstance(bound, Node) and bound.op == "get_attr" and annotation_of(bound).nonnegative == "PACT":
            return bound, passed
    return None, passed


def is_alpha(name: str) -> bool:
    """Return whether a name in a state dict is that of a PACT bound."""
    last, _, number = name.rpartition(".")[2].partition(f"{ALPHA}_")
    return last == ALPHA or (last == "" and number.isdigit())
