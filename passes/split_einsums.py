"""Write einsums of many operands as einsums of two."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters
from typing import Any

from torch.fx import Graph, GraphModule, Node

from asim_fx.graph.edit import argument, aten, call_op, packet_of
from asim_fx.graph.macs import einsum_labels
from asim_fx.graph.symbolic import Dim, same_dim, shape_of
from asim_fx.pipeline import Fact, PassContext, graph_pass


@graph_pass(requires=[Fact.FLAT], provides=[])
def split_einsums(graph_module: GraphModule, context: PassContext) -> bool:
    """Contract the operands of an einsum pair by pair, in the order in which torch does: its MACs stay the same.

    Example:
        ``einsum("bi,ij,bj->b", x, w, y)`` becomes ``einsum("ab,bc->ac", x, w)`` and ``einsum("ab,ab->a", ..., y)``.

    An einsum with a repeated label or broadcast sizes stays, and becomes a site that cannot be lowered.
    """
    graph = graph_module.graph
    changed = False
    for node in list(graph.nodes):
        if packet_of(node) is not aten.einsum:
            continue
        operands = node.args[1]
        assert isinstance(operands, Sequence)
        shapes = [shape_of(operand) for operand in operands]
        labels = einsum_labels(str(node.args[0]), [len(shape) for shape in shapes])
        if len(operands) < 3 or labels is None or not _sizes_agree(labels, shapes):
            continue
        path = argument(node, 2, "path") or _path_from_left(len(operands))
        with graph.inserting_before(node):
            result = _contract(graph, node, list(zip(operands, labels, strict=False)), labels[-1], path)
        node.replace_all_uses_with(result)
        graph.erase_node(node)
        changed = True
    return changed


def _sizes_agree(labels: Sequence[str], shapes: Sequence[Sequence[Dim]]) -> bool:
    sizes: dict[str, Dim] = {}
    pairs = [pair for text, shape in zip(labels, shapes, strict=False) for pair in zip(text, shape, strict=True)]
    return all(same_dim(sizes.setdefault(label, dim), dim) for label, dim in pairs)


def _path_from_left(operands: int) -> list[int]:
    """Return the path that torch takes where none is given: each product meets the next operand."""
    return [0, 1] + [position for last in range(operands - 2, 0, -1) for position in (0, last)]


def _contract(graph: Graph, like: Node, terms: list[tuple[Any, str]], result: str, path: Sequence[int]) -> Node:
    """Contract pairs by a path as torch takes it: two positions each; what they give goes to the end."""
    products: set[Node] = set()
    for step in range(0, len(path), 2):
        low, high = sorted(path[step : step + 2])
        second, first = terms.pop(high), terms.pop(low)
        if second[0] in products:
            # A product is streamed, what it meets is stored: the batch must not become part of a matrix.
            first, second = second, first
        later = set(result).union(*(labels for _, labels in terms))
        kept = "".join(label for label in dict.fromkeys(first[1] + second[1]) if label in later)
        given = [first[1], second[1], kept if terms else result]
        call = call_op(graph, aten.einsum.default, (_equation(given), [first[0], second[0]]), like=like)
        terms.append((call, given[-1]))
        products.add(call)
    product: Node = terms[0][0]
    return product


def _equation(labels: Sequence[str]) -> str:
    """Return an equation with letters for the labels, which may be digits where an ellipsis stood."""
    letters = dict(zip(dict.fromkeys("".join(labels)), ascii_letters, strict=False))
    first, second, result = ("".join(letters[label] for label in text) for text in labels)
    return f"{first},{second}->{result}"
