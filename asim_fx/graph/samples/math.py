"""Where the samples lie after arithmetic: pointwise, reductions, convolutions, products. One rule an operation."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Node

from asim_fx.graph.edit import argument, aten, packet_of, rank_of
from asim_fx.graph.samples.common import Places, Rule, broadcast, dims_of, others_free, source
from asim_fx.graph.samples.place import FREE, Place, Where
from asim_fx.graph.symbolic import extent, shape_of

_POINTWISE_WITHOUT_TAG = frozenset(
    {
        *(
            aten.dropout,
            aten.dropout_,
            aten.contiguous,
            aten.clone,
            aten.alias,
            aten.detach,
            aten.detach_,
            aten.to,
            aten.type_as,
        ),
        *(
            aten._to_copy,
            aten.where,
            aten.masked_fill,
            aten.masked_fill_,
            aten.relu6,
            aten.relu6_,
            aten.zeros_like,
            aten.ones_like,
        ),
        *(
            aten.softplus,
            aten.prelu,
            aten.batch_norm,
            aten.lerp,
            aten.addcmul,
            aten.fill_,
            aten.zero_,
            aten.copy_,
            aten.selu,
        ),
        *(
            aten.hardtanh,
            aten.hardtanh_,
            aten.hardswish,
            aten.hardswish_,
            aten.hardsigmoid,
            aten.hardsigmoid_,
            aten.mish,
            aten.mish_,
        ),
        *(
            aten.silu,
            aten.silu_,
            aten.gelu,
            aten.gelu_,
            aten.elu,
            aten.elu_,
            aten.leaky_relu,
            aten.leaky_relu_,
            aten.clamp_,
        ),
    }
)


def pointwise(node: Node, places: Places) -> Where:
    """Broadcast: every operand that holds samples holds them along the same dimension, counted from the right."""
    tags = getattr(node.target, "tags", ())
    if torch.Tag.pointwise not in tags and packet_of(node) not in _POINTWISE_WITHOUT_TAG:
        return None
    return broadcast(node, places, node.all_input_nodes, rank_of(node))


def reduce(node: Node, places: Places) -> Where:
    """Reductions over other dimensions than the samples'; the larger or smaller of two tensors is none."""
    if node.target in (aten.max.other, aten.min.other):
        return broadcast(node, places, node.all_input_nodes, rank_of(node))
    place, before = source(node, places)
    if place is None:
        return None
    found = dims_of(node, 2 if packet_of(node) in (aten.norm, aten.linalg_vector_norm) else 1, "dim")
    if found is None:
        return None
    reduced = {dim % len(before) for dim in found}
    if place.axis in reduced:
        return None
    value = node.meta["val"]
    result = value[0] if isinstance(value, (list, tuple)) else value
    keeps = result.ndim == len(before)
    return place if keeps else Place(place.axis - sum(dim < place.axis for dim in reduced), place.inner)


def norm(node: Node, places: Places) -> Where:
    """layer_norm and rms_norm: over the last dimensions."""
    place, before = source(node, places)
    count = len(argument(node, 1, "normalized_shape"))
    return place if place is not None and place.axis < len(before) - count else None


def before_last(count: int) -> Rule:
    """Keep the place where an operation works on the last ``count`` dimensions and the samples lie before them."""

    def rule(node: Node, places: Places) -> Where:
        place, before = source(node, places)
        is_clear = place is not None and place.axis < len(before) - count and rank_of(first_value(node)) == len(before)
        return place if is_clear and others_free(node, places) else None

    return rule


def first_value(node: Node) -> Any:
    """Return the tensor that a call gives, or the first of them."""
    value = node.meta["val"]
    return value[0] if isinstance(value, (list, tuple)) else value


def per_sample(node: Node, places: Places) -> Where:
    """Group norms and the like: samples along dimension 0, all else constant."""
    place, _ = source(node, places)
    return place if place is not None and place.axis == 0 and others_free(node, places) else None


def convolution(node: Node, places: Places) -> Where:
    """Samples along dimension 0; or as groups of channels, where each sample has a weight of its own."""
    place, before = source(node, places)
    groups = argument(node, 6, "groups", 1)
    if place is None or place.axis != 1 or not isinstance(groups, Node):
        return per_sample(node, places)
    channels, outputs = extent(before[1]), extent(shape_of(node)[1])
    is_block = channels is not None and channels.factor == place.inner and outputs is not None
    return Place(1, outputs.factor) if is_block and outputs is not None else None


def recurrent(node: Node, places: Places) -> Where:
    """Samples along the batch dimension of the sequence. Only the first result, the outputs, keeps the place."""
    place, _ = source(node, places)
    batch_axis = 0 if node.args[-1] is True else 1
    return place if place is not None and place.axis == batch_axis else None


def recurrence(node: Node, places: Places) -> Where:
    """Samples along the rows of the gates, (steps, rows, G), and of the states, (rows, H)."""
    states = [places.get(operand) for operand in (node.args[0], node.args[4]) if isinstance(operand, Node)]
    gates, weight = (places.get(operand) for operand in (node.args[3], node.args[1]) if isinstance(operand, Node))
    if not isinstance(gates, Place) or gates.axis != 1 or weight != FREE:
        return None
    return gates if all(state in (FREE, Place(0, gates.inner)) for state in states) else None


def linear(node: Node, places: Places) -> Where:
    """The last dimension is multiplied; the samples lie before it."""
    place, before = source(node, places)
    return place if place is not None and place.axis < len(before) - 1 and others_free(node, places) else None


def matmul(node: Node, places: Places) -> Where:
    """Samples along the batch dimensions of both operands, or along the rows of the first."""
    first, second = node.args[:2]
    assert isinstance(first, Node)
    assert isinstance(second, Node)
    rank = rank_of(node)
    if min(rank_of(first), rank_of(second)) < 2:
        return None
    one, other = places.get(first), places.get(second)
    for place, operand in ((one, first), (other, second)):
        if isinstance(place, Place) and place.axis >= rank_of(operand) - 2:
            # Samples along the rows of one operand stay apart only if the other is the same for all of them.
            alone = other == FREE and operand is first and place.axis == rank_of(first) - 2
            return Place(rank - 2, place.inner) if alone else None
    return broadcast(node, places, [first, second], rank)
