"""Remove what computes nothing at inference: dropout, casts to the same dtype, copies like the original."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.fx import Graph, GraphModule, Node

from asim_fx.graph.edit import argument, aten, call_op, mutated_storages, option, packet_of, storage_of
from asim_fx.graph.symbolic import is_batched, same_shape, shape_of, tensor_of
from asim_fx.pipeline import Fact, PassContext, graph_pass


@graph_pass(requires=[Fact.FLAT], provides=[Fact.NO_NOOPS])
def remove_noops(graph_module: GraphModule, context: PassContext) -> bool:
    """Replace every call that returns its own input by that input.

    Example:
        ``linear(dropout(x, 0.5, False), w)`` becomes ``linear(x, w)``.

    A copy (``clone``, ``contiguous``, a ``pad`` by nothing) goes only where neither side is changed in place and no
    later ``view`` depends on the memory order that it makes. ``detach`` stays: it changes gradients. Dropout stays in a
    graph that is to be trained.
    """
    graph = graph_module.graph
    before = len(graph.nodes)
    _erase_assertions(graph)
    released = _release_factories(graph)
    mutated = mutated_storages(graph)
    for node in list(graph.nodes):
        if node.op != "call_function" or not node.args or not isinstance(node.args[0], Node):
            continue
        if context.trainable and packet_of(node) in _DROPOUTS and argument(node, 1, "p"):
            continue
        returns_input = _RETURNS_INPUT.get(packet_of(node))
        copies_input = _COPIES_INPUT.get(packet_of(node))
        if (returns_input is not None and returns_input(node)) or (
            copies_input is not None and copies_input(node) and _copy_is_unseen(node, mutated)
        ):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    graph.eliminate_dead_code()
    return released or len(graph.nodes) != before


_ASSERTIONS = frozenset(
    {
        aten._assert_async,
        aten._assert_scalar,
        aten._assert_tensor_metadata,
        aten.sym_constrain_range,
        aten.sym_constrain_range_for_size,
    }
)


def _erase_assertions(graph: Graph) -> None:
    for node in reversed(graph.nodes):
        if packet_of(node) in _ASSERTIONS and not node.users:
            graph.erase_node(node)


def _release_factories(graph: Graph) -> bool:
    """Make ``x.new_zeros(56, 56)`` independent of ``x``, of which it takes only dtype and device."""
    released = False
    for node in list(graph.nodes):
        packet = packet_of(node)
        if packet not in _FILLED_WITH.keys() | _FILL_POSITION.keys() or is_batched(shape_of(node)):
            continue
        value = tensor_of(node)
        number = (
            argument(node, _FILL_POSITION[packet], "fill_value") if packet in _FILL_POSITION else _FILLED_WITH[packet]
        )
        with graph.inserting_before(node):
            size = [int(dim) for dim in value.shape]
            held = call_op(graph, aten.full.default, (size, number), like=node, dtype=value.dtype, device=value.device)
        # Slices of it that are written in place share this value's storage.
        held.meta["val"] = value
        node.replace_all_uses_with(held)
        graph.erase_node(node)
        released = True
    return released


_FILLED_WITH: dict[Any, int] = {aten.new_zeros: 0, aten.zeros_like: 0, aten.new_ones: 1, aten.ones_like: 1}
_FILL_POSITION: dict[Any, int] = {aten.new_full: 2, aten.full_like: 1}
"""Operations that take no value from their first operand, and what they fill their result with."""


def _inactive_dropout(node: Node) -> bool:
    return not argument(node, 2, "train") or argument(node, 1, "p") == 0


def _same_shape(node: Node) -> bool:
    """Whether shape and dtype are those of the input; ``x.view(torch.int32)`` keeps the shape alone."""
    is_same_dtype = tensor_of(node).dtype == tensor_of(node.args[0]).dtype
    return is_same_dtype and same_shape(shape_of(node), shape_of(node.args[0]))


def _same_cast(node: Node) -> bool:
    value, given = tensor_of(node), tensor_of(node.args[0])
    return (
        value.dtype == given.dtype
        and value.device == given.device
        and not option(node, "copy")
        and option(node, "memory_format") in (None, torch.preserve_format)
    )


def _unit_slice(node: Node) -> bool:
    return _same_shape(node) and argument(node, 4, "step", 1) == 1


def _plain_pad(node: Node) -> bool:
    amounts: Any = argument(node, 1, "pad", ())
    return all(isinstance(amount, int) and amount == 0 for amount in amounts)


def _always(node: Node) -> bool:
    return True


_DROPOUTS = frozenset(
    {
        aten.dropout,
        aten.dropout_,
        aten.feature_dropout,
        aten.feature_dropout_,
        aten.alpha_dropout,
        aten.alpha_dropout_,
        aten.feature_alpha_dropout,
    }
)

_RETURNS_INPUT: dict[Any, Callable[[Node], bool]] = {
    **dict.fromkeys(_DROPOUTS, _inactive_dropout),
    aten.alias: _always,
    aten.to: _same_cast,
    aten.type_as: _same_cast,
    aten.expand: _same_shape,
    aten.expand_as: _same_shape,
    aten.view: _same_shape,
    aten.reshape: _same_shape,
    aten.flatten: _same_shape,
    aten.slice: _unit_slice,
}
"""Operations that return their input, or an alias of it, and when."""

_COPIES_INPUT: dict[Any, Callable[[Node], bool]] = {
    aten.clone: _always,
    aten.contiguous: _always,
    aten._to_copy: _same_cast,
    aten.pad: _plain_pad,
    aten.constant_pad_nd: _plain_pad,
}
"""Operations that return a copy of their input, and when."""

_NEEDS_MEMORY_ORDER = frozenset(
    {aten.view, aten.as_strided, aten.view_as_real, aten.view_as_complex, aten._unsafe_view}
)


def _copy_is_unseen(node: Node, mutated: frozenset[int]) -> bool:
    source = node.args[0]
    assert isinstance(source, Node)
    if storage_of(node) in mutated or storage_of(source) in mutated:
        return False
    return not _reaches_view(node, storage_of(node), storage_of(source))


def _reaches_view(node: Node, *storages: int | None) -> bool:
    """Return whether a view, or the caller, sees the memory order of a node, through aliases of it."""
    for user in node.users:
        if user.op == "output" or packet_of(user) in _NEEDS_MEMORY_ORDER:
            return True
        value = user.meta.get("val")
        is_alias = isinstance(value, (list, tuple)) or storage_of(user) in storages
        if is_alias and _reaches_view(user, *storages):
            return True
    return False
