"""The parts of a batch become one gradient, summed in the order of the parts whatever process computed them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lightning_fabric import Fabric
from torch import Tensor

from asim_fx.sharding import losing_peers


def sum_of_parts(fabric: Fabric, own: Sequence[Tensor]) -> Tensor:
    """Return the sum of the vectors of all parts of all processes, to the bit the same in each of them.

    Args:
        fabric: connects the processes; every one has as many parts.
        own: one vector for each part of this process, in order. The first is overwritten.

    Raises:
        RunInterruptedError: another process ended before.
    """
    if fabric.world_size == 1:
        total = own[0]
        for vector in own[1:]:
            total += vector
        return total
    # An all-reduce adds in an order of its own. A gather keeps the order of the parts, which no process count changes.
    with losing_peers():
        gathered = fabric.all_gather(torch.stack(list(own)))
    assert isinstance(gathered, Tensor)
    vectors = gathered.flatten(0, 1)
    total = vectors[0].clone()
    for vector in vectors[1:]:
        total += vector
    return total


def flatten(tensors: Sequence[Tensor | None], like: Sequence[Tensor]) -> Tensor:
    """Return tensors as one vector; zeros for those that are missing, so that all vectors are alike."""
    parts = [
        (torch.zeros_like(model) if tensor is None else tensor).reshape(-1)
        for tensor, model in zip(tensors, like, strict=True)
    ]
    return torch.cat(parts) if parts else torch.zeros(0)


def unflatten(vector: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Return a vector cut up into tensors of these shapes."""
    pieces = torch.split(vector, [model.numel() for model in like]) if like else ()
    return [piece.view(model.shape) for piece, model in zip(pieces, like, strict=True)]
