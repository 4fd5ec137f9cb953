"""Write every matrix product in one of two forms: ``linear`` with a constant weight, or ``matmul``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.fx import Graph, GraphModule, Node

from asim_fx.graph.edit import argument, aten, call_op, dynamic_nodes, packet_of, rank_of
from asim_fx.graph.macs import einsum_labels
from asim_fx.graph.symbolic import Dim, same_dim, shape_of
from asim_fx.pipeline import Fact, PassContext, graph_pass


@graph_pass(requires=[Fact.FLAT], provides=[Fact.CANONICAL])
def canonicalize_matmuls(graph_module: GraphModule, context: PassContext) -> bool:
    """Rewrite mm, bmm, mv, dot, addmm, baddbmm and einsum of two operands as matmul, x @ W.T as linear.

    Example:
        ``addmm(b, x, t(W))`` becomes ``linear(x, W, b)``;
        ``einsum("bhid,bhjd->bhij", q, k)`` becomes ``matmul(q, permute(k, [0, 1, 3, 2]))``;
        ``linear(x, w)`` with a computed weight becomes ``matmul(x, transpose(w, 0, 1))``.

    An einsum with a repeated label or broadcast sizes stays, and becomes a site that cannot be lowered; one of more
    operands is split before, by ``split_einsums``.
    """
    graph = graph_module.graph
    dynamic = dynamic_nodes(graph)
    changed = False
    for node in list(graph.nodes):
        rewrite = _REWRITES.get(packet_of(node))
        if rewrite is None:
            continue
        with graph.inserting_before(node):
            result = rewrite(graph, node, dynamic)
        if result is not None and result is not node:
            node.replace_all_uses_with(result)
            graph.erase_node(node)
            changed = True
    if changed:
        graph.eliminate_dead_code()
    return changed


def matmul(graph: Graph, first: Any, second: Any, *, like: Node, dynamic: frozenset[Node]) -> Node:
    """Insert ``first @ second``: a linear where the second is the transpose of a constant matrix."""
    weight = _transposed(second)
    if weight is not None and weight not in dynamic and rank_of(first) > 1:
        return call_op(graph, aten.linear.default, (first, weight), like=like)
    if rank_of(first) == 1:
        row = call_op(graph, aten.unsqueeze.default, (first, 0), like=like)
        product = matmul(graph, row, second, like=like, dynamic=dynamic)
        return call_op(graph, aten.squeeze.dim, (product, -2 if rank_of(second) > 1 else 0), like=like)
    if rank_of(second) == 1:
        column = call_op(graph, aten.unsqueeze.default, (second, -1), like=like)
        product = call_op(graph, aten.matmul.default, (first, column), like=like)
        return call_op(graph, aten.squeeze.dim, (product, -1), like=like)
    return call_op(graph, aten.matmul.default, (first, second), like=like)


def _transposed(node: Any) -> Node | None:
    """Return the matrix that a node is the transpose of."""
    if not isinstance(node, Node) or node.op != "call_function" or rank_of(node) != 2:
        return None
    swaps = packet_of(node) in (aten.t, aten.mT, aten.numpy_T) or (
        packet_of(node) is aten.transpose and {_axis(a) for a in node.args[1:3]} == {0, 1}
    )
    if packet_of(node) is aten.permute:
        order = node.args[1]
        assert isinstance(order, Sequence)
        swaps = [_axis(a) for a in order] == [1, 0]
    source = node.args[0] if swaps else None
    return source if isinstance(source, Node) else None


def _axis(axis: Any) -> int:
    return int(axis) % 2


def _rewrite_product(graph: Graph, node: Node, dynamic: frozenset[Node]) -> Node | None:
    first, second = node.args[:2]
    is_plain = packet_of(node) is aten.matmul and rank_of(first) > 1 and rank_of(second) > 1
    weight = _transposed(second)
    if is_plain and (weight is None or weight in dynamic):
        return None
    return matmul(graph, first, second, like=node, dynamic=dynamic)


def _rewrite_sum_of_product(graph: Graph, node: Node, dynamic: frozenset[Node]) -> Node:
    """``beta * bias + alpha * (first @ second)``."""
    bias, first, second = node.args[:3]
    beta, alpha = node.kwargs.get("beta", 1), node.kwargs.get("alpha", 1)
    product = matmul(graph, first, second, like=node, dynamic=dynamic)
    if packet_of(product) is aten.linear and rank_of(bias) == 1 and alpha == beta == 1 and bias not in dynamic:
        operands = product.args
        graph.erase_node(product)
        return call_op(graph, aten.linear.default, (*operands, bias), like=node)
    if alpha != 1:
        product = call_op(graph, aten.mul.Tensor, (product, alpha), like=node)
    if beta == 0:
        return product
    if beta != 1:
        bias = call_op(graph, aten.mul.Tensor, (bias, beta), like=node)
    return call_op(graph, aten.add.Tensor, (product, bias), like=node)


def _rewrite_linear(graph: Graph, node: Node, dynamic: frozenset[Node]) -> Node | None:
    """Give a weight that is computed, or a single row, its plain form."""
    weight, bias = node.args[1], argument(node, 2, "bias")
    if rank_of(weight) == 1 and weight not in dynamic:
        row = call_op(graph, aten.unsqueeze.default, (weight, 0), like=node)
        column = call_op(graph, aten.linear.default, (node.args[0], row), like=node)
        product = call_op(graph, aten.squeeze.dim, (column, -1), like=node)
    elif weight in dynamic:
        turned = weight
        if rank_of(weight) == 2:
            turned = call_op(graph, aten.transpose.int, (weight, 0, 1), like=node)
        product = matmul(graph, node.args[0], turned, like=node, dynamic=dynamic)
    else:
        return None
    return product if bias is None else call_op(graph, aten.add.Tensor, (product, bias), like=node)


def _rewrite_einsum(graph: Graph, node: Node, dynamic: frozenset[Node]) -> Node | None:
    equation, operands = node.args[:2]
    assert isinstance(operands, Sequence)
    if len(operands) != 2:
        return None
    shapes = [shape_of(operand) for operand in operands]
    labels = einsum_labels(str(equation), [len(shape) for shape in shapes])
    if labels is not None and operands[0] not in dynamic and operands[1] in dynamic:
        # What is constant is the weight, wherever it stands.
        operands, shapes, labels = operands[::-1], shapes[::-1], [labels[1], labels[0], labels[2]]
    if labels is None or not _sizes_agree(labels, shapes):
        return None
    first_labels, second_labels, result_labels = labels
    shared = set(first_labels) & set(second_labels)
    contracted = "".join(label for label in first_labels if label in shared and label not in result_labels)
    if not contracted:
        return None
    first, first_labels = _sum_lone(graph, operands[0], first_labels, shared | set(result_labels), node)
    second, second_labels = _sum_lone(graph, operands[1], second_labels, shared | set(result_labels), node)
    batch = "".join(label for label in result_labels if label in shared)
    rows = "".join(label for label in first_labels if label not in shared)
    columns = "".join(label for label in second_labels if label not in shared)
    sizes = dict(zip(labels[0], shapes[0], strict=True)) | dict(zip(labels[1], shapes[1], strict=True))
    first = _grouped(graph, first, first_labels, (batch, rows, contracted), node)
    second = _grouped(graph, second, second_labels, (batch, contracted, columns), node)
    product = matmul(graph, first, second, like=node, dynamic=dynamic)
    product = _split(graph, product, -1, [sizes[label] for label in columns], node)
    product = _split(graph, product, len(batch), [sizes[label] for label in rows], node)
    result: Node = _permuted(graph, product, batch + rows + columns, result_labels, node)
    return result


def _sizes_agree(labels: Sequence[str], shapes: Sequence[Sequence[Dim]]) -> bool:
    first, second = (dict(zip(text, shape, strict=True)) for text, shape in zip(labels[:2], shapes, strict=True))
    return all(same_dim(first[label], second[label]) for label in first.keys() & second.keys())


def _sum_lone(graph: Graph, operand: Any, labels: str, kept: set[str], like: Node) -> tuple[Any, str]:
    """Sum over the labels that stand in this operand alone."""
    lone = [position for position, label in enumerate(labels) if label not in kept]
    if not lone:
        return operand, labels
    summed = call_op(graph, aten.sum.dim_IntList, (operand, lone), like=like)
    return summed, "".join(label for label in labels if label in kept)


def _grouped(graph: Graph, operand: Any, labels: str, groups: tuple[str, str, str], like: Node) -> Any:
    """Order the labels as batch dimensions, then two groups that are merged into one dimension each."""
    batch, middle, last = groups
    operand = _permuted(graph, operand, labels, "".join(groups), like)
    operand = _merged(graph, operand, len(batch) + len(middle), len(last), like)
    return _merged(graph, operand, len(batch), len(middle), like)


def _merged(graph: Graph, operand: Any, start: int, count: int, like: Node) -> Any:
    if count == 1:
        return operand
    if count == 0:
        return call_op(graph, aten.unsqueeze.default, (operand, start), like=like)
    return call_op(graph, aten.flatten.using_ints, (operand, start, start + count - 1), like=like)


def _split(graph: Graph, product: Any, axis: int, sizes: Sequence[Dim], like: Node) -> Any:
    if len(sizes) == 1:
        return product
    if not sizes:
        return call_op(graph, aten.squeeze.dim, (product, axis), like=like)
    plain = [-1 if isinstance(size, torch.SymInt) else size for size in sizes]
    return call_op(graph, aten.unflatten.int, (product, axis, plain), like=like)


def _permuted(graph: Graph, operand: Any, labels: str, wanted: str, like: Node) -> Any:
    if labels == wanted:
        return operand
    return call_op(graph, aten.permute.default, (operand, [labels.index(label) for label in wanted]), like=like)


_REWRITES: dict[Any, Callable[[Graph, Node, frozenset[Node]], Node | None]] = {
    aten.mm: _rewrite_product,
    aten.bmm: _rewrite_product,
    aten.mv: _rewrite_product,
    aten.dot: _rewrite_product,
    aten.matmul: _rewrite_product,
    aten.addmm: _rewrite_sum_of_product,
    aten.addmv: _rewrite_sum_of_product,
    aten.baddbmm: _rewrite_sum_of_product,
    aten.linear: _rewrite_linear,
    aten.einsum: _rewrite_einsum,
}
