"""Write operations that ``run_decompositions`` took apart, or gave another name, in the form that other passes know."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from torch.fx import Graph, GraphModule, Node

from asim_fx.graph.edit import argument, aten, call_op, option, packet_of, rank_of
from asim_fx.graph.symbolic import same_shape, shape_of
from asim_fx.pipeline import Fact, PassContext, graph_pass


@graph_pass(requires=[Fact.FLAT], provides=[Fact.COMPOSITE])
def recompose(graph_module: GraphModule, context: PassContext) -> bool:
    """Replace the calls of ATen's own vocabulary by those of a model as it is written.

    Example:
        ``convolution(x, w, b, [2, 2], [1, 1], [1, 1], False, [0, 0], 1)`` becomes
        ``conv2d(x, w, b, [2, 2], [1, 1], [1, 1], 1)``; ``native_layer_norm(x, [64], w, b, 1e-5)[0]`` becomes
        ``layer_norm(x, [64], w, b, 1e-5)``.

    A batched product with one matrix that was expanded to the batch is a product with that matrix. A call of which
    more than the first result is used stays.
    """
    graph = graph_module.graph
    changed = False
    for node in list(graph.nodes):
        rewrite = _PLAIN.get(packet_of(node))
        if rewrite is not None:
            with graph.inserting_before(node):
                result = rewrite(graph, node)
            if result is not None:
                node.replace_all_uses_with(result)
                graph.erase_node(node)
                changed = True
            continue
        first = _FIRST.get(packet_of(node))
        if first is not None and _only_first(node):
            with graph.inserting_before(node):
                result = first(graph, node)
            for user in list(node.users):
                user.replace_all_uses_with(result)
                graph.erase_node(user)
            graph.erase_node(node)
            changed = True
    if changed:
        graph.eliminate_dead_code()
    return changed


def _only_first(node: Node) -> bool:
    unused = [user for user in node.users if user.target is operator.getitem and user.args[1] != 0 and not user.users]
    for user in unused:
        node.graph.erase_node(user)
    return all(user.target is operator.getitem and user.args[1] == 0 for user in node.users)


def _convolution(graph: Graph, node: Node) -> Node:
    source, weight, bias, stride, padding, dilation, transposed, output_padding, groups = node.args[:9]
    dims = len(stride)  # type: ignore[arg-type]
    if transposed:
        target = (aten.conv_transpose1d.default, aten.conv_transpose2d.input, aten.conv_transpose3d.input)[dims - 1]
        args: tuple[Any, ...] = (source, weight, bias, stride, padding, output_padding, groups, dilation)
    else:
        target = (aten.conv1d.default, aten.conv2d.default, aten.conv3d.default)[dims - 1]
        args = (source, weight, bias, stride, padding, dilation, groups)
    return call_op(graph, target, args, like=node)


def _softmax(graph: Graph, node: Node) -> Node:
    if node.args[2]:  # half precision in, single precision out: on GPUs alone
        import torch

        return call_op(graph, aten.softmax.int, (*node.args[:2], torch.float32), like=node)
    return call_op(graph, aten.softmax.int, node.args[:2], like=node)


def _batched_product(graph: Graph, node: Node) -> Node | None:
    """``bmm(x, expand(w))``, as a linear of a tensor that is not contiguous becomes, is ``matmul(x, w)``."""
    matrix = node.args[1]
    while isinstance(matrix, Node) and rank_of(matrix) > 2 and packet_of(matrix) in _EXPANSIONS:
        matrix = matrix.args[0]
        if not isinstance(matrix, Node) or not same_shape(shape_of(matrix)[-2:], shape_of(node.args[1])[-2:]):
            return None
    if matrix is node.args[1] or rank_of(matrix) != 2:
        return None
    return call_op(graph, aten.matmul.default, (node.args[0], matrix), like=node)


def _layer_norm(graph: Graph, node: Node) -> Node:
    return call_op(graph, aten.layer_norm.default, node.args[:5], like=node)


def _group_norm(graph: Graph, node: Node) -> Node:
    source, weight, bias, _, _, _, groups, epsilon = node.args[:8]
    return call_op(graph, aten.group_norm.default, (source, groups, weight, bias, epsilon), like=node)


def _batch_norm(graph: Graph, node: Node) -> Node:
    source, weight, bias, mean, variance = node.args[:5]
    rest = (False, option(node, "momentum"), option(node, "eps"), False)
    return call_op(graph, aten.batch_norm.default, (source, weight, bias, mean, variance, *rest), like=node)


def _max_pool(graph: Graph, node: Node) -> Node:
    target = {
        aten.max_pool2d_with_indices: aten.max_pool2d.default,
        aten.max_pool3d_with_indices: aten.max_pool3d.default,
    }[packet_of(node)]
    return call_op(graph, target, node.args, like=node, **node.kwargs)


def _attention(graph: Graph, node: Node) -> Node:
    mask = argument(node, 3, "attn_bias") if packet_of(node) is aten._scaled_dot_product_efficient_attention else None
    mask = node.kwargs.get("attn_mask", mask)
    args = (*node.args[:3], mask, 0.0, bool(option(node, "is_causal")))
    scale = node.kwargs.get("scale")
    return call_op(graph, aten.scaled_dot_product_attention.default, args, like=node, scale=scale)


_EXPANSIONS = frozenset({aten.expand, aten.view, aten.reshape, aten.unsqueeze, aten.clone, aten._unsafe_view})

_PLAIN: dict[Any, Callable[[Graph, Node], Node | None]] = {
    aten.bmm: _batched_product,
    aten.convolution: _convolution,
    aten._softmax: _softmax,
}
"""Calls with one result."""

_FIRST: dict[Any, Callable[[Graph, Node], Node]] = {
    aten.native_layer_norm: _layer_norm,
    aten.native_group_norm: _group_norm,
    aten._native_batch_norm_legit_no_training: _batch_norm,
    aten.max_pool2d_with_indices: _max_pool,
    aten.max_pool3d_with_indices: _max_pool,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention: _attention,
    aten._scaled_dot_product_efficient_attention: _attention,
}
"""Calls whose first result is the only one that inference uses."""
