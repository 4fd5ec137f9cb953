"""Write fused attention as the two matrix products it is."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.fx import Graph, GraphModule, Node

from asim_fx.graph.edit import argument, aten, call_op, owner_of, packet_of
from asim_fx.graph.symbolic import hint, shape_of, tensor_of
from asim_fx.ir import annotate
from asim_fx.pipeline import Fact, PassContext, graph_pass


@graph_pass(requires=[Fact.COMPOSITE], provides=[Fact.NO_SDPA])
def decompose_attention(graph_module: GraphModule, context: PassContext) -> bool:
    """Replace scaled_dot_product_attention by matmul, scale, mask, softmax, matmul.

    Example:
        ``scaled_dot_product_attention(q, k, v)`` becomes
        ``s = matmul(q, transpose(k, -2, -1)) * scale; matmul(softmax(s, -1), v)``; roles qk and av are annotated.

    Masks (boolean and float), ``is_causal``, ``scale`` and ``enable_gqa`` keep their meaning. Rows that a mask empties
    give zeros, as in torch.
    """
    graph = graph_module.graph
    changed = False
    for node in list(graph.nodes):
        if packet_of(node) is aten.scaled_dot_product_attention:
            with graph.inserting_before(node):
                result = _decompose(graph, node, context)
            node.replace_all_uses_with(result)
            graph.erase_node(node)
            changed = True
    return changed


def _decompose(graph: Graph, node: Node, context: PassContext) -> Node:
    query, key, value = node.args[:3]
    mask, dropout = argument(node, 3, "attn_mask"), argument(node, 4, "dropout_p", 0.0)
    causal, scale = argument(node, 5, "is_causal", False), node.kwargs.get("scale")
    if node.kwargs.get("enable_gqa"):
        key, value = _repeat_heads(graph, query, key, node), _repeat_heads(graph, query, value, node)
    width = hint(shape_of(query)[-1])
    turned = call_op(graph, aten.transpose.int, (key, -2, -1), like=node)
    product = call_op(graph, aten.matmul.default, (query, turned), like=node)
    annotate(product, role="qk")
    scores = call_op(graph, aten.mul.Tensor, (product, 1 / math.sqrt(width) if scale is None else scale), like=node)
    if causal:
        mask = _causal_mask(graph, query, key, node)
    scores, has_empty_rows = _masked(graph, scores, mask, node)
    softmax = aten._safe_softmax.default if has_empty_rows else aten.softmax.int
    weights = call_op(graph, softmax, (scores, -1), like=node)
    if dropout:
        context.log.note(
            owner_of(node)[0], f"attention drops {dropout:.0%} of its weights at inference, as the model does"
        )
        weights = call_op(graph, aten.dropout.default, (weights, dropout, True), like=node)
    result = call_op(graph, aten.matmul.default, (weights, value), like=node)
    annotate(result, role="av")
    return result


def _repeat_heads(graph: Graph, query: Any, shared: Any, like: Node) -> Any:
    """Give every query head a key head of its own (grouped-query attention)."""
    repeats = hint(shape_of(query)[-3]) // hint(shape_of(shared)[-3])
    if repeats == 1:
        return shared
    return call_op(graph, aten.repeat_interleave.self_int, (shared, repeats, -3), like=like)


def _causal_mask(graph: Graph, query: Any, key: Any, like: Node) -> Node:
    rows, columns = hint(shape_of(query)[-2]), hint(shape_of(key)[-2])
    device = tensor_of(query).device
    ones = call_op(graph, aten.ones.default, ([rows, columns],), like=like, dtype=torch.bool, device=device)
    return call_op(graph, aten.tril.default, (ones,), like=like)


def _masked(graph: Graph, scores: Node, mask: Any, like: Node) -> tuple[Node, bool]:
    """Apply a mask: True keeps, False drops; a float mask is added. Also returns whether a row may be empty."""
    if mask is None:
        return scores, False
    if tensor_of(mask).dtype is not torch.bool:
        return call_op(graph, aten.add.Tensor, (scores, mask), like=like), True
    dropped = call_op(graph, aten.logical_not.default, (mask,), like=like)
    return call_op(graph, aten.masked_fill.Scalar, (scores, dropped, -math.inf), like=like), True
