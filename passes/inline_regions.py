"""Inline the sub-graphs that export makes of ``with torch.no_grad()``, ``with torch.autocast()`` and the like."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node

from asim_fx.graph.edit import aten, fetch, free_name, get_tensor, owner_of, packet_of, refresh_value, store
from asim_fx.graph.macs import CONDITION, region_macs
from asim_fx.graph.symbolic import is_batched
from asim_fx.passlog import UncapturedOp
from asim_fx.pipeline import Fact, PassContext, graph_pass

_REGIONS = frozenset(
    {
        "wrap_with_autocast",
        "wrap_with_set_grad_enabled",
        "wrap_activation_checkpoint",
        "tag_activation_checkpoint",
        "hints_wrapper",
        "invoke_subgraph",
        "strict_mode",
        "wrap",
    }
)


@graph_pass(requires=[Fact.CAPTURED], provides=[Fact.FLAT])
def inline_regions(graph_module: GraphModule, context: PassContext) -> bool:
    """Replace every region by the operations inside it.

    Example:
        ``wrap_with_autocast("cpu", bfloat16, False, False, submod_1, x, w)[0]`` becomes ``matmul(x, w)``.

    An autocast region that lowers precision loses that when inlined: its operations run at the precision of their
    operands, and the report says so. Control flow (``cond``, ``while_loop``) stays, and is
    reported: what a branch of ``cond`` multiplies counts as float, and of two branches the larger.
    """
    changed = False
    while (region := _next_region(graph_module)) is not None:
        _inline(graph_module, region, context)
        changed = True
    for node in graph_module.graph.nodes:
        if isinstance(node.target, torch._ops.HigherOrderOperator):
            _log_control_flow(graph_module, node, context)
    return changed


def _log_control_flow(graph_module: GraphModule, node: Node, context: PassContext) -> None:
    owner = ".".join(part for part in (context.prefix, owner_of(node)[0]) if part)
    context.log.note(owner, f"control flow ({node.target}) is kept as it is, in float")
    macs = region_macs(graph_module, node)
    if node.target is CONDITION and macs:
        operands = [leaf.meta.get("val") for leaf in node.all_input_nodes]
        batched = any(isinstance(value, Tensor) and is_batched(value.shape) for value in operands)
        reason = "the input chooses one of two branches (torch.cond), which stay in float; the larger is counted"
        context.log.uncaptured.append(UncapturedOp(owner, macs // context.batch if batched else macs, reason))


def _next_region(graph_module: GraphModule) -> Node | None:
    for node in graph_module.graph.nodes:
        target = node.target
        if isinstance(target, torch._ops.HigherOrderOperator) and str(target) in _REGIONS:
            found: Node = node
            return found
    return None


def _inline(graph_module: GraphModule, region: Node, context: PassContext) -> None:
    holder, inner = _body(graph_module, region)
    _note_precision(region, context)
    graph = graph_module.graph
    holes = [node for node in inner.graph.nodes if node.op == "placeholder"]
    operands = region.args[len(region.args) - len(holes) :]
    env: dict[Node, Any] = dict(zip(holes, operands, strict=True))
    results: Any = ()
    with graph.inserting_before(region):
        for node in inner.graph.nodes:
            if node.op == "get_attr":
                env[node] = _lift(graph_module, inner, node, region)
            elif node.op == "output":
                results = torch.fx.map_arg(node.args[0], lambda arg: env[arg])
            elif node.op != "placeholder" and packet_of(node) is not aten._assert_tensor_metadata:
                # That assertion is about the dtype inside of an autocast, which is gone.
                env[node] = graph.node_copy(node, lambda arg: env[arg])
                if not isinstance(node.target, torch._ops.HigherOrderOperator):
                    refresh_value(env[node])
    _replace_results(region, results)
    graph.erase_node(region)
    if not holder.users:
        graph.erase_node(holder)
        if not any(node.target == holder.target for node in graph.find_nodes(op="get_attr", target=holder.target)):
            graph_module.delete_submodule(str(holder.target))


def _body(graph_module: GraphModule, region: Node) -> tuple[Node, GraphModule]:
    for node in region.all_input_nodes:
        if node.op == "get_attr":
            held = fetch(graph_module, str(node.target))
            if isinstance(held, GraphModule):
                return node, held
    message = f"region {region.name} holds no graph"
    raise ValueError(message)


def _note_precision(region: Node, context: PassContext) -> None:
    if str(region.target) == "wrap_with_autocast" and region.args[2]:
        context.log.note(owner_of(region)[0], f"an autocast region to {region.args[1]} runs without autocast")


def _lift(graph_module: GraphModule, inner: GraphModule, node: Node, region: Node) -> Node:
    """Move what a region holds itself (a constant, a nested region's graph) to the root."""
    held = fetch(inner, str(node.target))
    path = free_name(graph_module, str(node.target))
    if isinstance(held, nn.Module):
        graph_module.add_submodule(path, held)
        return graph_module.graph.get_attr(path)
    assert isinstance(held, Tensor)
    store(graph_module, path, held, persistent=False)
    return get_tensor(graph_module.graph, graph_module, path, like=region)


def _replace_results(region: Node, results: Any) -> None:
    if isinstance(results, Node):
        region.replace_all_uses_with(results)
        return
    for user in list(region.users):
        assert user.target is operator.getitem
        user.replace_all_uses_with(results[user.args[1]])
        user.graph.erase_node(user)
