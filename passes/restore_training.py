"""Make a graph that was captured for inference train: batch norms and dropouts get their training form back."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.fx import GraphModule, Node

from asim_fx.graph.edit import argument, aten, free_name, owner_of, packet_of
from asim_fx.nn.trainable import Drop, DropPath, TrainableNorm
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

VISIBLE_DROP_PATH = "VisibleDropPath"
"""Name of the class of modules whose dropout stands for that of whole samples."""


@graph_pass(requires=[Fact.LOWERED], provides=[Fact.TRAINABLE])
def restore_training(graph_module: GraphModule, context: PassContext) -> bool:
    """Call modules that know whether they train. Does nothing unless ``context.trainable``.

    Example:
        ``batch_norm(x, gamma, beta, mean, var, False, 0.1, 1e-5, True)`` becomes ``bn1.norm(x, gamma, beta, mean,
        var)``, and ``dropout(x, 0.5, False)`` becomes ``head.drop.drop(x)``.
    """
    if not context.trainable:
        return False
    changed = False
    for node in list(graph_module.graph.nodes):
        if packet_of(node) is aten.batch_norm and not argument(node, 5, "training"):
            norm = TrainableNorm(float(argument(node, 6, "momentum")), float(argument(node, 7, "eps")))
            _call(graph_module, node, "norm", norm, node.args[:5])
            changed = True
        elif packet_of(node) in _DROPOUTS and not argument(node, 2, "train"):
            _call(graph_module, node, "drop", _dropping(node), node.args[:1])
            changed = True
    return changed


def _dropping(node: Node) -> nn.Module:
    share = float(argument(node, 1, "p"))
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    if stack and str(getattr(stack[-1][1], "__name__", stack[-1][1])).endswith(VISIBLE_DROP_PATH):
        return DropPath(share)
    return Drop(_DROPOUTS[packet_of(node)], share)


def _call(graph_module: GraphModule, node: Node, word: str, module: nn.Module, operands: tuple[Any, ...]) -> None:
    graph, owner = graph_module.graph, owner_of(node)[0]
    target = free_name(graph_module, f"{owner}.{word}" if owner else word)
    graph_module.add_submodule(target, module)
    with graph.inserting_after(node):
        call = graph.call_module(target, operands)
    call.meta = dict(node.meta)
    node.replace_all_uses_with(call)
    graph.erase_node(node)
