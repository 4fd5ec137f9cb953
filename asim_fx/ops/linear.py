"""A linear layer as a reduction."""

from __future__ import annotations

import torch
from torch import Tensor

from asim_fx.ops.reduction import Block, Gather, Reduction


def linear_reduction(streamed: Tensor, stored: Tensor) -> Reduction:
    """Return the reduction of ``streamed @ stored.T``.

    Args:
        streamed: codes (..., K).
        stored: codes (N, K).
    """
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
