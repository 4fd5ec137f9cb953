"""The CPU engine: integer products by torch, everything that is read by one compiled kernel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asim_fx.ops.cells import word_bits
from asim_fx.ops.config import OpConfig
from asim_fx.ops.draws import Seed
from asim_fx.ops.engines import plain
from asim_fx.ops.engines.cpu.noise import draw_compiled
from asim_fx.ops.engines.cpu.packing import gathered, packed
from asim_fx.ops.engines.cpu.plan import Plan, not_covered, plan_of
from asim_fx.ops.engines.cpu.reading import LANES, MEAN, MEDIAN, MODE, read_lanes
from asim_fx.ops.parallel import for_each, threads_for
from asim_fx.ops.reduction import Block, Reduction
from asim_fx.ops.schedule import schedule

WORKING_BYTES = 64 * 2**20
"""About what the streamed vectors of the blocks at work take, as codes and as bits."""
_PARTS_PER_THREAD = 4
_VOTES = {"mode": MODE, "median": MEDIAN, "mean": MEAN}


@dataclass(frozen=True, slots=True)
class _Arrays:
    """A plan as the kernel takes it, for streamed or for stored vectors in the lanes."""

    cells: NDArray[np.int64]
    terms: NDArray[np.int64]
    tables: NDArray[np.int64]
    entries: NDArray[np.uint32]
    low_cuts: NDArray[np.uint32]


def simulate(reduction: Reduction, config: OpConfig, seed: Seed) -> Tensor:
    """Return the sums of an operation as the plain engine does, to the bit; see there.

    Raises:
        UsageError: the fields of the configuration contradict each other.
    """
    if not_covered(config):
        return plain.simulate(reduction, config, seed, noisy_reads=draw_compiled)
    result = plain.exact_sums(replace(reduction, streamed=partial(_vectors, reduction)), config)
    if not schedule(config).parts or reduction.numel == 0 or reduction.length == 0:
        return result
    plan = plan_of(config)
    arrays = {streamed: _arrays(plan, streamed_lanes=streamed) for streamed in (True, False)}
    tiles = -(-reduction.length // config.step)
    rows = reduction.stored.transpose(1, 2).contiguous()
    starts = np.arange(reduction.groups * reduction.outputs, dtype=np.int64) * reduction.length
    offsets = np.arange(reduction.length, dtype=np.int64)
    bits = word_bits(config)
    shape = (reduction.groups, reduction.outputs, tiles, bits, -1)
    stored = packed(rows.view(-1).numpy(), starts, offsets, config.step, bits).reshape(shape)
    key = np.array(seed.key(config.stream), np.uint32)
    layout = config.layout
    batch = reduction.numel // layout.elements if layout else 1
    samples = np.array([layout.stride if layout else 0, batch, seed.first_sample], np.int64)
    sums = result.numpy()
    source, streamed_offsets = reduction.gather.source.numpy(), reduction.gather.offsets.numpy()
    threads = threads_for(torch.device("cpu"))

    def compute(block: Block) -> None:
        starts = reduction.gather.starts_of(block)
        groups, count = starts.shape
        bits = packed(source, starts.flatten().numpy(), streamed_offsets, config.step, config.input.bits)
        streamed = bits.reshape(groups, count, *bits.shape[1:])
        streamed_flat, stored_flat = _places(reduction, block)
        # Whatever leaves fewer lanes empty.
        streamed_lanes = _padded(count) * reduction.outputs <= _padded(reduction.outputs) * count
        for group in range(groups):
            own = stored[block.groups.start + group]
            lanes, others = (streamed[group], own) if streamed_lanes else (own, streamed[group])
            first = (block.groups.start + group) * reduction.strides[0]
            flats = (streamed_flat, stored_flat) if streamed_lanes else (stored_flat, streamed_flat)
            _read(lanes, others, arrays[streamed_lanes], plan, config, key, samples, flats[0], flats[1] + first, sums)

    most = max(1, WORKING_BYTES // (threads * (12 * reduction.length + 16 * reduction.outputs)))
    if threads > 1:
        most = min(most, -(-reduction.vectors // (threads * _PARTS_PER_THREAD)))
    blocks = [block for _, part in reduction.blocks(max(1, most)) for block in part]
    for_each(compute, blocks, torch.device("cpu"))
    return result


def _read(
    lanes: NDArray[np.uint32],
    others: NDArray[np.uint32],
    arrays: _Arrays,
    plan: Plan,
    config: OpConfig,
    key: NDArray[np.uint32],
    samples: NDArray[np.int64],
    lane_flat: NDArray[np.int64],
    other_flat: NDArray[np.int64],
    result: NDArray[np.float64],
) -> None:
    for start in range(0, lanes.shape[0], LANES):
        part = lanes[start : start + LANES]
        used = part.shape[0]
        mine = np.zeros((*part.shape[1:], LANES), np.uint32)
        mine[..., :used] = np.moveaxis(part, 0, -1)
        flat = lane_flat[start : start + LANES]
        flat = np.concatenate([flat, np.repeat(flat[-1:], LANES - used)])
        read_lanes(
            mine,
            others,
            arrays.cells,
            arrays.terms,
            arrays.tables,
            arrays.entries,
            arrays.low_cuts,
            _VOTES[config.plan.vote],
            plan.reads_of_tile,
            key,
            samples,
            flat,
            other_flat,
            plan.scales,
            used,
            result,
        )


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


def _arrays(plan: Plan, *, streamed_lanes: bool) -> _Arrays:
    terms: list[tuple[int, int, int]] = []
    cells = []
    for cell in plan.cells:
        first = len(terms)
        for shift, bit in enumerate(cell.streamed):
            for more, held in enumerate(cell.stored):
                lane, other = (bit, held) if streamed_lanes else (held, bit)
                terms.append((lane, other, shift + more))
        cells.append((first, len(terms), cell.place, cell.sum, cell.first_read, cell.reads, cell.table))
    starts = np.cumsum([0] + [max(len(table.entries), len(table.low_cuts)) for table in plan.tables])
    entries = np.zeros(starts[-1], np.uint32)
    low_cuts = np.zeros(starts[-1], np.uint32)
    for start, table in zip(starts, plan.tables, strict=False):
        entries[start : start + len(table.entries)] = table.entries
        low_cuts[start : start + len(table.low_cuts)] = table.low_cuts
    facts = [(start, table.column_bits, table.multiplier) for start, table in zip(starts, plan.tables, strict=False)]
    return _Arrays(np.array(cells, np.int64), np.array(terms, np.int64), np.array(facts, np.int64), entries, low_cuts)


def _padded(count: int) -> int:
    return -(-count // LANES) * LANES
