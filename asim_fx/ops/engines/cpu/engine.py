"""The CPU engine: integer products by torch, everything that is read by one compiled kernel."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asim_fx.ops.cells import word_bits
from asim_fx.ops.config import OpConfig
from asim_fx.ops.draws import Seed
from asim_fx.ops.engines import plain
from asim_fx.ops.engines.cpu.arguments import arguments_of
from asim_fx.ops.engines.cpu.lanes import padded, side_by_side
from asim_fx.ops.engines.cpu.noise import draw_compiled
from asim_fx.ops.engines.cpu.packing import WORD_BITS, as_int16, gathered, packed
from asim_fx.ops.engines.cpu.plan import not_covered
from asim_fx.ops.engines.cpu.reading import read_lanes
from asim_fx.ops.parallel import for_each, threads_for
from asim_fx.ops.reduction import Block, Reduction
from asim_fx.ops.schedule import schedule

WORKING_BYTES = 64 * 2**20
"""About what the streamed vectors of the blocks at work take, as codes and as bits."""
_PARTS_PER_THREAD = 4


def simulate(reduction: Reduction, config: OpConfig, seed: Seed) -> Tensor:
    """Return the sums of an operation as the plain engine does, to the bit; see there.

    Raises:
        UsageError: the fields of the configuration contradict each other.
    """
    if not_covered(config):
        return plain.simulate(reduction, config, seed, noisy_reads=draw_compiled)
    fetching = replace(reduction, streamed=partial(_vectors, reduction))
    if not schedule(config).parts:
        return plain.exact_products(fetching, config)
    result = plain.exact_sums(fetching, config)
    if reduction.numel == 0 or reduction.length == 0:
        return result
    words = _words_of_tiles(reduction.length, config.step)
    stored = _packed_stored(reduction, config)
    laid_out: list[NDArray[np.uint32]] = []
    key = np.array(seed.key(config.stream), np.uint32)
    samples = _samples(reduction, config, seed)
    sums = result.numpy()
    source, offsets = as_int16(reduction.gather.source), reduction.gather.offsets.numpy()

    def compute(block: Block, *, streamed_lanes: bool) -> None:
        starts = reduction.gather.starts_of(block)
        bits = packed(source, starts.flatten().numpy(), offsets, config.step, config.input.bits)
        streamed = bits.reshape(*starts.shape, *bits.shape[1:])
        streamed_flat, stored_flat = _places(reduction, block)
        if streamed_lanes:
            lanes, others = side_by_side(streamed), stored[block.groups]
            lane_flat, other_flat = streamed_flat, stored_flat
        else:
            lanes, others = laid_out[0][block.groups], streamed
            lane_flat, other_flat = stored_flat, streamed_flat
        read_lanes(
            lanes,
            others,
            arguments_of(config, streamed_lanes=streamed_lanes),
            words,
            key,
            samples,
            lane_flat,
            other_flat,
            block.groups.start * reduction.strides[0],
            reduction.strides[0],
            sums,
        )

    blocks, streamed_lanes = _blocks(reduction)
    if not streamed_lanes:
        laid_out.append(side_by_side(stored))
    for_each(partial(compute, streamed_lanes=streamed_lanes), blocks, torch.device("cpu"))
    return result


def _blocks(reduction: Reduction) -> tuple[list[Block], bool]:
    """Return the blocks to share among threads, and whether streamed vectors are the lanes."""
    threads = threads_for(torch.device("cpu"))
    # Where a group has few vectors, lanes without one take as much room as those with one.
    of_group = reduction.samples * reduction.positions
    lanes = 2 * padded(of_group) * reduction.length // of_group
    most = max(1, WORKING_BYTES // (threads * (12 * reduction.length + lanes + 16 * reduction.outputs)))
    if threads > 1:
        most = min(most, max(1, -(-reduction.vectors // (threads * _PARTS_PER_THREAD))))
    blocks = [block for _, part in reduction.blocks(most) for block in part]
    # Whatever leaves fewer lanes empty.
    first = blocks[0]
    count = (first.samples.stop - first.samples.start) * (first.positions.stop - first.positions.start)
    return blocks, padded(count) * reduction.outputs <= padded(reduction.outputs) * count


def _packed_stored(reduction: Reduction, config: OpConfig) -> NDArray[np.uint32]:
    """Return the bits of the stored operand, (groups, outputs, tiles, bits, words)."""
    rows = reduction.stored.transpose(1, 2).contiguous()
    starts = np.arange(reduction.groups * reduction.outputs, dtype=np.int64) * reduction.length
    offsets = np.arange(reduction.length, dtype=np.int64)
    bits = packed(as_int16(rows.view(-1)), starts, offsets, config.step, word_bits(config))
    return bits.reshape(reduction.groups, reduction.outputs, *bits.shape[1:])


def _words_of_tiles(length: int, step: int) -> NDArray[np.int64]:
    """Return in how many words of each row tile there are rows."""
    return np.array([-(-min(step, length - first) // WORD_BITS) for first in range(0, length, step)], np.int64)


def _samples(reduction: Reduction, config: OpConfig, seed: Seed) -> NDArray[np.int64]:
    """Return (stride, batch, first sample) of the result; stride 0 where the samples could not be followed."""
    layout = config.layout
    batch = reduction.numel // layout.elements if layout else 1
    return np.array([layout.stride if layout else 0, batch, seed.first_sample], np.int64)


def _vectors(reduction: Reduction, block: Block) -> Tensor:
    """Return what ``reduction.streamed`` does; patches of a convolution are fetched faster than torch lays them out."""
    offsets = reduction.gather.offsets
    if int(offsets[-1]) == reduction.length - 1:
        return reduction.streamed(block)  # Contiguous: nothing is copied.
    starts = reduction.gather.starts_of(block)
    vectors = torch.empty((*starts.shape, reduction.length))
    flat = starts.flatten().numpy()
    gathered(reduction.gather.source.numpy(), flat, offsets.numpy(), vectors.view(-1, reduction.length).numpy())
    return vectors


def _places(reduction: Reduction, block: Block) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the parts of the row-major index in the result that depend on the streamed and the stored vector."""
    _, sample, position, output = reduction.strides
    samples = np.arange(block.samples.start, block.samples.stop, dtype=np.int64)
    positions = np.arange(block.positions.start, block.positions.stop, dtype=np.int64)
    streamed = (samples[:, None] * sample + positions * position).reshape(-1)
    return streamed, np.arange(reduction.outputs, dtype=np.int64) * output
