"""A linear layer as a reduction."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from asim_fx.errors import InputError
from asim_fx.ops.reduction import Block, Gather, Reduction


def check_linear(streamed: Sequence[int], stored: Sequence[int]) -> None:
    """Check the shapes of the input and of the weight of a linear layer.

    Raises:
        InputError: the weight is no matrix, or the last dimension of the input is not the weight's.
    """
    if len(stored) != 2:
        message = f"the weight of a linear layer has 2 dimensions, not {tuple(stored)}"
        raise InputError(message)
    if not len(streamed) or streamed[-1] != stored[1]:
        message = f"a linear layer of {stored[1]} features got an input of shape {tuple(streamed)}"
        raise InputError(message, hint=f"the last dimension of the input must be {stored[1]}")


def linear_reduction(streamed: Tensor, stored: Tensor) -> Reduction:
    """Return the reduction of ``streamed @ stored.T``.

    Args:
        streamed: codes (..., K).
        stored: codes (N, K).

    Raises:
        InputError: the shapes do not fit.
    """
    check_linear(streamed.shape, stored.shape)
    outputs, length = stored.shape
    vectors = streamed.reshape(1, -1, length)

    def arrange(flat: Tensor) -> Tensor:
        return flat.view(1, outputs, length).transpose(1, 2)

    def block_of(block: Block) -> Tensor:
        return vectors[:, block.positions]

    zero, rows = torch.zeros(1, dtype=torch.int64), torch.arange(vectors.shape[1]) * length
    gather = Gather(vectors.reshape(-1), (zero, zero, rows), torch.arange(length))
    return Reduction(
        groups=1,
        samples=1,
        positions=vectors.shape[1],
        outputs=outputs,
        length=length,
        shape=(*streamed.shape[:-1], outputs),
        strides=(0, 0, outputs, 1),
        streamed=block_of,
        stored=arrange(stored.flatten()),
        stored_numel=stored.numel(),
        arrange_stored=arrange,
        gather=gather,
    )
