"""Codes as planes of bytes, row tile by row tile: what the tensor cores multiply."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
from torch import Tensor

from asim_fx.ops.engines.cuda.kernels.packing import pack
from asim_fx.ops.planes import Plane

_VECTORS = 32
"""Vectors that one program packs."""
_NARROWEST = 32
"""Rows that a tensor core takes at a time."""
_WIDEST = 256
"""Rows that a kernel takes at a time."""


def padded_rows(step: int) -> int:
    """Return the rows of a tile with the zeros behind them that make it a multiple of what a kernel takes."""
    unit = rows_at_once(step)
    return -(-step // unit) * unit


def rows_at_once(step: int) -> int:
    """Return how many rows of a tile a kernel takes at a time: a power of two that leaves few zeros behind a tile."""
    unit = _WIDEST
    while unit > _NARROWEST and -(-step // unit) * unit > -(-step // _NARROWEST) * _NARROWEST * 9 // 8:
        unit //= 2
    return unit


def plane_facts(planes: Sequence[Plane], device: torch.device) -> Tensor:
    """Return (first bit, mask) of each plane, int32, as the kernel takes them."""
    return torch.tensor([[plane.first, 2**plane.width - 1] for plane in planes], dtype=torch.int32, device=device)


def pack_planes(source: Tensor, starts: Tensor, offsets: Tensor, facts: Tensor, step: int) -> Tensor:
    """Return planes of bytes (groups, vectors, row tiles, planes, padded rows), int8.

    Element k of a vector is at start + offset, so that patches of an image are never laid out as codes.

    Args:
        source: float32 integer codes.
        starts: int64 (groups, vectors), in elements from the first of ``source``.
        offsets: int64 (K).
        facts: of the planes, see ``plane_facts``.
        step: rows of a tile.
    """
    groups, vectors = starts.shape
    length = offsets.numel()
    step = min(step, length)
    rows, at_once = padded_rows(step), rows_at_once(step)
    tiles = -(-length // step)
    packed = torch.empty((groups, vectors, tiles, len(facts), rows), dtype=torch.int8, device=source.device)
    grid = (groups * triton.cdiv(vectors, _VECTORS) * tiles * (rows // at_once),)
    pack[grid](
        source,
        starts,
        offsets,
        facts,
        packed,
        vectors,
        length,
        step,
        tiles,
        PLANES=len(facts),
        ROWS=rows,
        BLOCK_V=_VECTORS,
        BLOCK_K=at_once,
        enable_fp_fusion=False,  # There are no floats to add; Triton 3.9 warns where it is not told.
    )
    return packed
