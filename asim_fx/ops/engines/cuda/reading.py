"""How the reading kernel is launched."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import triton
from torch import Tensor

from asim_fx.ops.config import OpConfig, ReadEffects
from asim_fx.ops.draws import READS_PER_BLOCK, Seed
from asim_fx.ops.engines.cuda.blocks import block_shape, block_width
from asim_fx.ops.engines.cuda.packing import rows_at_once
from asim_fx.ops.engines.cuda.plan import Pass
from asim_fx.ops.engines.tables import read_table
from asim_fx.ops.reduction import Reduction

_INT31 = 2**31


@dataclass(frozen=True, slots=True)
class Draws:
    """What the random numbers of an operation depend on, and how votes become one.

    Attributes:
        key: of the site.
        stride: of the samples in the result; 0 where they could not be followed.
        batch: samples of the result.
        first_sample: number of the first.
        output_flat: step of an output in the row-major index of the result.
        wide: whether an index or a sample's number needs more than 31 bits.
        vote: rule.
    """

    key: tuple[int, int]
    stride: int
    batch: int
    first_sample: int
    output_flat: int
    wide: bool
    vote: str

    @staticmethod
    def of(reduction: Reduction, config: OpConfig, seed: Seed) -> Draws:
        """Return the draws of one operation."""
        layout = config.layout
        batch = reduction.numel // layout.elements if layout else 1
        return Draws(
            key=seed.key(config.stream),
            stride=layout.stride if layout else 0,
            batch=batch,
            first_sample=seed.first_sample,
            output_flat=reduction.strides[3],
            wide=max(reduction.numel, seed.first_sample + batch) >= _INT31,
            vote=config.plan.vote,
        )


def read_pass(streamed: Tensor, stored: Tensor, part: Pass, reads_of_tile: int, draws: Draws, flat: Tensor) -> Tensor:
    """Return the sum of places times codes over the cells of a pass and all row tiles.

    Args:
        streamed: int8 planes (groups, vectors, tiles, streamed planes, rows).
        stored: int8 planes (groups, outputs, tiles, stored planes, rows).
        part: the cells.
        reads_of_tile: reads of one output in one row tile.
        draws: of the operation.
        flat: int64 (groups, vectors), what each vector adds to the row-major index in the result.

    Returns:
        (groups, vectors, outputs), int32 where no sum needs more, otherwise int64.
    """
    groups, vectors, tiles, streamed_planes, rows = streamed.shape
    outputs, stored_planes = stored.shape[1], stored.shape[3]
    long = not part.fits_int32(tiles)
    device = streamed.device
    sums = torch.empty((groups, vectors, outputs), dtype=torch.int64 if long else torch.int32, device=device)
    compared = part.reads > 1 and draws.vote != "mean"
    work = _work_of(part, tiles, (streamed_planes, stored_planes), reads_of_tile, compared, str(device))
    entries, low_cuts = _table(part.effects, part.full_scale, part.noisy, str(device))
    table = part.table
    width = block_width(outputs)
    kernel, fixed = block_shape(width, vectors, device)
    kernel[lambda meta: (groups * triton.cdiv(vectors, meta["BLOCK_M"]) * triton.cdiv(outputs, width),)](
        streamed,
        stored,
        work.run_starts,
        work.reads,
        entries,
        low_cuts,
        flat,
        sums,
        vectors,
        outputs,
        tiles * streamed_planes * rows,
        tiles * stored_planes * rows,
        len(work.run_starts) - 1,
        draws.output_flat,
        draws.stride,
        draws.batch,
        draws.first_sample,
        *draws.key,
        ROWS=rows,
        COLUMN_BITS=table.column_bits,
        MULTIPLIER=table.multiplier,
        VOTES=part.reads if compared else 1,
        MIDDLE=(part.reads - 1) // 2 if draws.vote == "median" else -1,
        LONG=long,
        WIDE=draws.wide,
        BRANCHES=device.type != "cpu",
        BLOCK_K=rows_at_once(rows),
        BLOCK_N=width,
        enable_fp_fusion=False,  # There are no floats; Triton 3.9 warns where it is not told.
        **fixed,
    )
    return sums


@dataclass(frozen=True, slots=True)
class _Work:
    """Reads of a pass in runs that share blocks of random words, as the kernel takes them."""

    run_starts: Tensor
    reads: Tensor


@lru_cache(maxsize=1024)
def _work_of(part: Pass, tiles: int, planes: tuple[int, int], reads_of_tile: int, compared: bool, device: str) -> _Work:
    runs: list[tuple[int, int]] = []
    reads: list[tuple[int, int, int, int]] = []
    for tile in range(tiles):
        for cell in part.cells:
            for again in range(1 if compared else part.reads):
                number = tile * reads_of_tile + cell.first_read + again if part.noisy else 0
                if not runs or runs[-1][1] != number // READS_PER_BLOCK:
                    runs.append((len(reads), number // READS_PER_BLOCK))
                places = tile * planes[0] + cell.streamed, tile * planes[1] + cell.stored
                reads.append((*places, cell.place, number % READS_PER_BLOCK))
    runs.append((len(reads), 0))
    run_starts, listed = (torch.tensor(rows, dtype=torch.int32, device=device) for rows in (runs, reads))
    return _Work(run_starts, listed)


@lru_cache(maxsize=64)
def _table(effects: ReadEffects, full_scale: int, noisy: bool, device: str) -> tuple[Tensor, Tensor]:
    """Return entries and low cuts of a table, as the bits of int32."""
    table = read_table(effects, full_scale, noisy=noisy)
    assert table is not None
    entries, low_cuts = (torch.from_numpy(words.view(np.int32)).to(device) for words in (table.entries, table.low_cuts))
    return entries, low_cuts
