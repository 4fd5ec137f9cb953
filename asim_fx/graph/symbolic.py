"""Shapes with a symbolic batch: a dimension as a multiple of the batch, and its size in the captured example."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.fx import Node

Dim = int | torch.SymInt


class Extent(NamedTuple):
    """A dimension as ``factor`` elements, times the batch where ``batched``."""

    factor: int
    batched: bool


def hint(dim: Dim) -> int:
    """Return a dimension's size in the example that the graph was captured with."""
    return int(dim.node.hint or 0) if isinstance(dim, torch.SymInt) else int(dim)


def numel_hint(shape: Sequence[Dim]) -> int:
    """Return the number of elements in the example that the graph was captured with."""
    return math.prod(hint(dim) for dim in shape)


def extent(dim: Dim) -> Extent | None:
    """Return a dimension as ``factor`` or ``factor * batch``; None for anything else, such as ``batch + 1``."""
    if not isinstance(dim, torch.SymInt):
        return Extent(int(dim), batched=False)
    factor, rest = dim.node.expr.as_coeff_Mul()
    if rest == 1:
        return Extent(int(factor), batched=False)
    if rest.is_Symbol and factor.is_Integer:
        return Extent(int(factor), batched=True)
    return None


def same_dim(one: Dim, other: Dim) -> bool:
    """Return whether two dimensions are equal for every batch, without adding a guard."""
    if isinstance(one, torch.SymInt) and isinstance(other, torch.SymInt):
        return bool(one.node.expr == other.node.expr)
    found = extent(one), extent(other)
    return None not in found and found[0] == found[1]


def same_shape(one: Sequence[Dim], other: Sequence[Dim]) -> bool:
    """Return whether two shapes are equal for every batch, without adding a guard."""
    return len(one) == len(other) and all(map(same_dim, one, other))


def per_image(shape: Sequence[Dim], batch: int) -> tuple[int | None, ...]:
    """Return a shape for one image: None where a dimension is exactly the batch.

    A dimension that the batch was merged into (``64 * batch`` windows) shows its share of one image (64).
    """
    return tuple(_per_image(dim, batch) for dim in shape)


def _per_image(dim: Dim, batch: int) -> int | None:
    found = extent(dim)
    if found is None:
        return hint(dim) // batch
    if found.batched and found.factor == 1:
        return None
    return found.factor


def is_batched(shape: Sequence[Dim]) -> bool:
    """Return whether any dimension depends on the batch."""
    return any(isinstance(dim, torch.SymInt) and dim.node.expr.free_symbols for dim in shape)


def value_of(node: Any) -> Any:
    """Return the fake value of a node (a FakeTensor, a SymInt, a list of them), or the argument itself."""
    return node.meta.get("val") if isinstance(node, Node) else node


def tensor_of(node: Any) -> Tensor:
    """Return the fake tensor of a node that is known to be one."""
    value = value_of(node)
    if not isinstance(value, Tensor):
        message = f"{node} holds {type(value).__name__}, not a tensor"
        raise TypeError(message)
    return value


def shape_of(node: Any) -> tuple[Dim, ...]:
    """Return the shape of a node's tensor, symbolic where the batch is."""
    return tuple(tensor_of(node).shape)
