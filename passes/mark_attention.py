"""Recognise attention that a model writes out itself, and put the scores first in its second product."""

from __future__ import annotations

from torch.fx import Graph, GraphModule, Node

from asim_fx.graph.edit import aten, call_op, dynamic_nodes, packet_of, rank_of
from asim_fx.graph.symbolic import hint, shape_of
from asim_fx.ir import annotate, annotation_of
from asim_fx.pipeline import Fact, PassContext, graph_pass

_SOFTMAX = frozenset({aten.softmax, aten._softmax, aten._safe_softmax, aten.special_softmax})
_SHAPES = frozenset(
    {
        aten.view,
        aten.reshape,
        aten.flatten,
        aten.unflatten,
        aten.permute,
        aten.transpose,
        aten.mT,
        aten.movedim,
        aten.unsqueeze,
        aten.squeeze,
        aten.expand,
        aten.contiguous,
        aten.clone,
        aten.to,
        aten.alias,
        aten.dropout,
        aten.dropout_,
        aten.slice,
        aten.pad,
        aten.constant_pad_nd,
    }
)
_ARITHMETIC = frozenset(
    {
        aten.mul,
        aten.mul_,
        aten.div,
        aten.div_,
        aten.add,
        aten.add_,
        aten.sub,
        aten.sub_,
        aten.masked_fill,
        aten.masked_fill_,
        aten.where,
        aten.clamp,
        aten.copy_,
        aten.cat,
    }
)
_MAX_HEADS = 64
"""A square linear or 1x1 conv no wider than this between scores and softmax mixes heads (talking heads)."""


@graph_pass(requires=[Fact.NO_SDPA, Fact.CANONICAL], provides=[Fact.ROLES])
def mark_attention(graph_module: GraphModule, context: PassContext) -> bool:
    """Annotate the products on both sides of a softmax as ``qk`` and ``av``.

    Between product and softmax may stand scaling, masks, biases, reshapes, dropout and a mixing of heads. Only a
    softmax with a product of two activations on *both* sides is attention.

    Example:
        ``matmul(v, transpose(softmax(matmul(q, k))))`` becomes
        ``transpose(matmul(softmax(matmul(q, k)), transpose(v)))``: the scores are the first operand.
    """
    graph = graph_module.graph
    dynamic = dynamic_nodes(graph)
    changed = False
    for softmax in [node for node in graph.nodes if packet_of(node) in _SOFTMAX]:
        before, after = _products_before(softmax, dynamic), _products_after(softmax, dynamic)
        if not before or not after:
            continue
        for product in before:
            if annotation_of(product).role is None:
                annotate(product, role="qk")
        for product, position in after:
            if annotation_of(product).role is None:
                changed |= position == 1
                annotate(product if position == 0 else _scores_first(graph, product), role="av")
    return changed


def _is_product(node: Node, dynamic: frozenset[Node]) -> bool:
    return packet_of(node) is aten.matmul and all(arg in dynamic for arg in node.args[:2])


def _mixes_heads(node: Node) -> bool:
    if packet_of(node) not in (aten.linear, aten.conv2d):
        return False
    weight = shape_of(node.args[1])
    return hint(weight[0]) == hint(weight[1]) <= _MAX_HEADS and all(hint(dim) == 1 for dim in weight[2:])


def _passes(node: Node) -> bool:
    return packet_of(node) in _SHAPES or packet_of(node) in _ARITHMETIC or _mixes_heads(node)


def _products_before(softmax: Node, dynamic: frozenset[Node]) -> list[Node]:
    """Return the products that a softmax is taken of."""
    found: list[Node] = []
    pending, seen = softmax.all_input_nodes[:1], set(softmax.all_input_nodes[:1])
    while pending:
        node = pending.pop()
        if _is_product(node, dynamic):
            found.append(node)
        elif _passes(node):
            fresh = [source for source in node.all_input_nodes if source in dynamic and source not in seen]
            seen.update(fresh)
            pending += fresh
    return found


def _products_after(softmax: Node, dynamic: frozenset[Node]) -> list[tuple[Node, int]]:
    """Return the products that take the result of a softmax, and as which operand."""
    found: list[tuple[Node, int]] = []
    pending, seen = [softmax], {softmax}
    while pending:
        node = pending.pop()
        for user in node.users:
            if user in seen:
                continue
            seen.add(user)
            if _is_product(user, dynamic):
                found.append((user, 0 if user.args[0] is node else 1))
            elif _passes(user):
                pending.append(user)
    return found


def _scores_first(graph: Graph, product: Node) -> Node:
    """Rewrite ``v @ s`` as ``(s^T @ v^T)^T`` and return the new product."""
    values, scores = product.args[:2]
    assert rank_of(values) > 1
    with graph.inserting_before(product):
        first = call_op(graph, aten.transpose.int, (scores, -2, -1), like=product)
        second = call_op(graph, aten.transpose.int, (values, -2, -1), like=product)
        turned = call_op(graph, aten.matmul.default, (first, second), like=product)
        result = call_op(graph, aten.transpose.int, (turned, -2, -1), like=product)
    product.replace_all_uses_with(result)
    graph.erase_node(product)
    return turned
