"""A batched matrix product of two activations as a reduction."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from asim_fx.errors import InputError
from asim_fx.ops.reduction import Block, Gather, Reduction


def broadcast_batch(first: Sequence[int], second: Sequence[int]) -> tuple[int, ...]:
    """Return the batch dimensions of ``first @ second``."""
    return tuple(torch.broadcast_shapes(first[:-2], second[:-2]))  # type: ignore[no-untyped-call]


def check_matmul(first: Sequence[int], second: Sequence[int]) -> None:
    """Check the shapes of the operands of ``first @ second``.

    Raises:
        InputError: an operand is no matrix, the inner dimensions differ, or the batch dimensions do not broadcast.
    """
    if len(first) < 2 or len(second) < 2:
        message = f"a matrix product takes operands of 2 dimensions or more, not {tuple(first)} and {tuple(second)}"
        raise InputError(message)
    if first[-1] != second[-2]:
        message = f"a product of {tuple(first)} and {tuple(second)}: the inner dimensions {first[-1]} and {second[-2]} "
        raise InputError(message + "differ")
    for one, other in zip(reversed(first[:-2]), reversed(second[:-2]), strict=False):
        if one != other and one != 1 and other != 1:
            message = f"a product of {tuple(first)} and {tuple(second)}: the batch dimensions {one} and {other} differ"
            raise InputError(message)


def matmul_reduction(first: Tensor, second: Tensor, *, stored_first: bool) -> Reduction:
    """Return the reduction of ``first @ second``; batch dimensions broadcast as in ``torch.matmul``.

    Args:
        first: codes (..., M, K).
        second: codes (..., K, N).
        stored_first: whether the first operand is stored and the second streamed (QK^T); otherwise the other way round.

    Raises:
        InputError: the shapes do not fit.
    """
    check_matmul(first.shape, second.shape)
    rows, columns = first.shape[-2], second.shape[-1]
    batch = broadcast_batch(first.shape, second.shape)
    groups = math.prod(batch)
    stored, streamed = (first, second) if stored_first else (second, first)
    vectors = streamed.expand(*batch, *streamed.shape[-2:]).reshape(groups, *streamed.shape[-2:]).contiguous()
    flat_vectors = vectors.view(-1)
    if stored_first:
        vectors = vectors.transpose(1, 2)

    def arrange(flat: Tensor) -> Tensor:
        matrices = flat.view(stored.shape).expand(*batch, *stored.shape[-2:]).reshape(groups, *stored.shape[-2:])
        return matrices.transpose(1, 2) if stored_first else matrices

    def block_of(block: Block) -> Tensor:
        return vectors[block.groups, block.positions]

    one, other = (1, columns) if stored_first else (columns, 1)
    starts = [torch.arange(size) * step for size, step in zip(vectors.shape, vectors.stride(), strict=True)]
    zero = torch.zeros(1, dtype=torch.int64)
    return Reduction(
        groups=groups,
        samples=1,
        positions=columns if stored_first else rows,
        outputs=rows if stored_first else columns,
        length=first.shape[-1],
        shape=(*batch, rows, columns),
        strides=(rows * columns, 0, one, other),
        streamed=block_of,
        stored=arrange(stored.flatten()),
        stored_numel=stored.numel(),
        arrange_stored=arrange,
        gather=Gather(flat_vectors, (starts[0], zero, starts[1]), starts[2]),
    )
