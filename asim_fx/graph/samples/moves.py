"""Where the samples lie after an operation that moves or selects elements. One small rule an operation."""

from __future__ import annotations

import torch
from torch.fx import Node

from asim_fx.graph.edit import argument, aten, packet_of, rank_of
from asim_fx.graph.samples.common import Places, Rule, broadcast, dims_of, others_free, source
from asim_fx.graph.samples.place import FREE, Place, Where, reshaped
from asim_fx.graph.symbolic import shape_of, tensor_of


def reshape(node: Node, places: Places) -> Where:
    """The flat stride from sample to sample stays."""
    place, before = source(node, places)
    return None if place is None else reshaped(place, before, shape_of(node))


def order_of(node: Node, rank: int) -> list[int]:
    """Return, for each dimension of the result, the dimension of the operand that it was."""
    packet = packet_of(node)
    if packet is aten.permute:
        return [int(axis) % rank for axis in argument(node, 1, "dims")]
    order = list(range(rank))
    if packet in (aten.movedim, aten.moveaxis):
        sources, targets = ([axis] if isinstance(axis, int) else list(axis) for axis in node.args[1:3])  # type: ignore[arg-type]
        moved = {target % rank: source % rank for source, target in zip(sources, targets, strict=True)}
        rest = iter(axis for axis in order if axis not in moved.values())
        return [moved[axis] if axis in moved else next(rest) for axis in order]
    pair = (-2, -1) if packet in (aten.t, aten.mT, aten.numpy_T) else node.args[1:3]
    one, other = (int(axis) % rank for axis in pair)  # type: ignore[arg-type]
    order[one], order[other] = other, one
    return order


def permute(node: Node, places: Places) -> Where:
    """The samples move with their dimension."""
    place, before = source(node, places)
    return None if place is None else Place(order_of(node, len(before)).index(place.axis), place.inner)


def expand(node: Node, places: Places) -> Where:
    """Broadcast to a larger shape."""
    return broadcast(node, places, node.all_input_nodes[:1], rank_of(node))


def repeat(node: Node, places: Places) -> Where:
    """Repeat whole dimensions; that of the samples too, as its whole batches come again."""
    place, before = source(node, places)
    if place is None:
        return None
    shift = rank_of(node) - len(before)
    return Place(place.axis + shift, place.inner)


def along(position: int, name: str, default: int = 0) -> Rule:
    """Keep the place in an operation along one dimension, which must be another; the rank stays."""

    def rule(node: Node, places: Places) -> Where:
        place, before = source(node, places)
        axis = argument(node, position, name, default)
        if place is None or not isinstance(axis, int) or axis % len(before) == place.axis:
            return None
        return place if others_free(node, places) else None

    return rule


def select(node: Node, places: Places) -> Where:
    """Take one index, or each, of another dimension, which goes."""
    place, before = source(node, places)
    axis = int(argument(node, 1, "dim", 0)) % max(1, len(before))
    if place is None or axis == place.axis:
        return None
    return Place(place.axis - (axis < place.axis), place.inner)


def roll(node: Node, places: Places) -> Where:
    """Rotate or flip other dimensions than the samples'."""
    place, before = source(node, places)
    found = dims_of(node, 2 if packet_of(node) is aten.roll else 1, "dims")
    if place is None or found is None:
        return None
    return None if place.axis in {dim % len(before) for dim in found} else place


def cat(node: Node, places: Places) -> Where:
    """Join parts with the same place; constants join in, but not along the dimension of the samples."""
    parts = argument(node, 0, "tensors")
    found = {place for part in parts if isinstance(place := places.get(part), Place)}
    if len(found) != 1:
        return None
    place = found.pop()
    axis = int(argument(node, 1, "dim", 0)) % rank_of(node)
    if packet_of(node) is aten.stack:
        return Place(place.axis + (axis <= place.axis), place.inner)
    whole_batches = all(isinstance(places.get(part), Place) for part in parts)
    return place if axis != place.axis or whole_batches else None


def pad(node: Node, places: Places) -> Where:
    """Pad dimensions after the samples'."""
    place, before = source(node, places)
    amounts = argument(node, 1, "pad")
    return place if place is not None and place.axis < len(before) - len(amounts) // 2 else None


def index(node: Node, places: Places) -> Where:
    """``x[:, :, index]`` with constant indices that stand side by side."""
    place, _ = source(node, places)
    if place is None or not others_free(node, places):
        return None
    given = argument(node, 1, "indices")
    used = [axis for axis, index in enumerate(given) if index is not None]
    if place.axis in used or used != list(range(used[0], used[-1] + 1)):
        return None
    width = max(rank_of(given[axis]) for axis in used)
    booleans = any(tensor_of(given[axis]).dtype is torch.bool for axis in used)
    if booleans:
        return None
    return place if place.axis < used[0] else Place(place.axis - len(used) + width, place.inner)


def gather(node: Node, places: Places) -> Where:
    """Pick within each sample, by indices of the same place."""
    axis = int(argument(node, 1, "dim", 0)) % rank_of(node)
    operands = [node.args[0], node.args[2]]
    found = {places.get(operand) for operand in operands if isinstance(operand, Node)}
    place = found.pop() if len(found) == 1 else None
    return place if isinstance(place, Place) and place.axis != axis else None


def embedding(node: Node, places: Places) -> Where:
    """A row of a constant table for each index."""
    table, indices = node.all_input_nodes[:2]
    return places.get(indices) if places.get(table) == FREE else None


def unfold(node: Node, places: Places) -> Where:
    """Slide a window along another dimension; a new last dimension appears."""
    place, before = source(node, places)
    return place if place is not None and int(argument(node, 1, "dimension")) % len(before) != place.axis else None


def interleave(node: Node, places: Places) -> Where:
    """Repeat each element in place; along the dimension of the samples, each sample's run grows longer."""
    place, before = source(node, places)
    count, axis = argument(node, 1, "repeats"), argument(node, 2, "dim")
    if place is None or not isinstance(axis, int) or not isinstance(count, int):
        return None
    return Place(place.axis, place.inner * count) if axis % len(before) == place.axis else place


def one_hot(node: Node, places: Places) -> Where:
    """A new last dimension appears."""
    return source(node, places)[0]
