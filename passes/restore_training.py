"""Make a graph that was captured for inference train: batch norms and dropouts get their training form back."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.fx import GraphModule, Node

from asim_fx.graph.edit import argument, aten, free_name, owner_of, packet_of
from asim_fx.nn import CimModule
from asim_fx.nn.trainable import (
    Drop,
    DropPath,
    ScaledBound,
    TrainableNorm,
    VisibleBatchDropPath,
    VisibleDropPath,
    VisibleUnscaledDropPath,
)
from asim_fx.passes.trace_clips import bound_of
from asim_fx.pipeline import Fact, PassContext, graph_pass

_DROPOUTS: dict[Any, str] = {
    aten.dropout: "dropout",
    aten.dropout_: "dropout",
    aten.feature_dropout: "feature_dropout",
    aten.feature_dropout_: "feature_dropout",
    aten.alpha_dropout: "alpha_dropout",
    aten.alpha_dropout_: "alpha_dropout",
    aten.feature_alpha_dropout: "feature_alpha_dropout",
}
"""Operations that drop, and torch's function for each."""

_DROP_PATHS = {
    f"{kind.__module__}.{kind.__qualname__}": kind
    for kind in (VisibleDropPath, VisibleBatchDropPath, VisibleUnscaledDropPath)
}
"""Classes of modules whose dropout stands for stochastic depth, by qualified name."""


@graph_pass(requires=[Fact.LOWERED], provides=[Fact.TRAINABLE])
def restore_training(graph_module: GraphModule, context: PassContext) -> bool:
    """Call modules that know whether they train. Does nothing unless ``context.trainable``.

    Example:
        ``batch_norm(x, gamma, beta, mean, var, False, 0.1, 1e-5, True)`` becomes ``bn1.norm(x, gamma, beta, mean,
        var)``, and ``dropout(x, 0.5, False)`` becomes ``head.drop.drop(x)``. A site that reads a bounded value through
        this dropout gets ``head.fc.bound(act.pact_alpha)`` for its scale: twice the bound in training.
    """
    if not context.trainable:
        return False
    nodes = list(graph_module.graph.nodes)
    changed = False
    for node in nodes:
        changed |= _scale_bound(graph_module, node)
    for node in nodes:
        if packet_of(node) is aten.batch_norm and not argument(node, 5, "training"):
            norm = TrainableNorm(float(argument(node, 6, "momentum")), float(argument(node, 7, "eps")))
            _call(graph_module, node, "norm", norm, node.args[:5])
            changed = True
        elif packet_of(node) in _DROPOUTS and not argument(node, 2, "train"):
            _call(graph_module, node, "drop", _dropping(node), node.args[:1])
            changed = True
    return changed


def _dropping(node: Node) -> Drop | DropPath:
    share = float(argument(node, 1, "p"))
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    held = stack[-1][1] if stack else ""
    kind = _DROP_PATHS.get(held if isinstance(held, str) else f"{held.__module__}.{held.__qualname__}")
    if kind is not None:
        return DropPath(share, by_sample=kind.by_sample, scaled=kind.scaled)
    return Drop(_DROPOUTS[packet_of(node)], share)


def _scale_bound(graph_module: GraphModule, node: Node) -> bool:
    """Scale the bound of what a site reads as the dropouts before it scale the value.

    The codes of what they keep are then those of inference, and so is the share of the scale that each code is.
    """
    site = graph_module.get_submodule(str(node.target)) if node.op == "call_module" else None
    bound, passed = bound_of(node.args[0]) if isinstance(site, CimModule) else (None, [])
    if bound is None or bound not in node.args:
        return False
    kept = 1.0
    for dropout in (_dropping(call) for call in passed if packet_of(call) in _DROPOUTS):
        if dropout.share < 1 and not (isinstance(dropout, DropPath) and not dropout.scaled):
            kept *= 1 - dropout.share
    if kept == 1:
        return False
    target = free_name(graph_module, f"{str(node.target).rpartition('.')[0]}.bound".lstrip("."))
    graph_module.add_submodule(target, ScaledBound(kept))
    with graph_module.graph.inserting_before(node):
        call = graph_module.graph.call_module(target, (bound,))
    call.meta = dict(bound.meta)
    node.args = (*node.args[:-1], call)
    return True


def _call(graph_module: GraphModule, node: Node, word: str, module: nn.Module, operands: tuple[Any, ...]) -> None:
    graph, owner = graph_module.graph, owner_of(node)[0]
    target = free_name(graph_module, f"{owner}.{word}" if owner else word)
    graph_module.add_submodule(target, module)
    with graph.inserting_after(node):
        call = graph.call_module(target, operands)
    call.meta = dict(node.meta)
    node.replace_all_uses_with(call)
    graph.erase_node(node)
