"""What the rules of ``track_samples`` share: places of operands, broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch.fx import Node

from asim_fx.graph.edit import argument, rank_of
from asim_fx.graph.samples.place import FREE, Place, Where
from asim_fx.graph.symbolic import Dim, shape_of

Places = Mapping[Node, Where]
Rule = Callable[[Node, Places], Where]


def broadcast(node: Node, places: Places, operands: Sequence[Node], rank: int) -> Where:
    """Return the place in a broadcast result: one that all operands with samples agree on, counted from the right."""
    found = {
        Place(place.axis + rank - rank_of(operand), place.inner)
        for operand in operands
        if isinstance(place := places.get(operand), Place)
    }
    return found.pop() if len(found) == 1 else None


def source(node: Node, places: Places) -> tuple[Place | None, tuple[Dim, ...]]:
    """Return the place and shape of the first operand; no place where another operand is what holds the samples."""
    first = node.args[0]
    if not isinstance(first, Node):
        return None, ()
    place = places.get(first)
    return (place if isinstance(place, Place) else None), shape_of(first)


def others_free(node: Node, places: Places) -> bool:
    """Return whether all operands but the first are the same for every sample."""
    return all(places.get(other) == FREE for other in node.all_input_nodes[1:] if is_tensor(other))


def is_tensor(node: Node) -> bool:
    """Return whether a node holds one tensor."""
    return isinstance(node.meta.get("val"), torch.Tensor)


def dims_of(node: Node, position: int, name: str) -> list[int] | None:
    """Return the dimensions that a call names; None where it means all of them."""
    found = argument(node, position, name)
    if found is None or found == []:
        return None
    return [found] if isinstance(found, int) else list(found)
