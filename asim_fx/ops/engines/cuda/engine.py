"""The CUDA engine: exact parts by torch, everything that is read by one Triton kernel."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from asim_fx.ops.config import OpConfig
from asim_fx.ops.draws import Seed
from asim_fx.ops.engines import plain
from asim_fx.ops.engines.cuda.packing import pack_planes, padded_rows, plane_facts
from asim_fx.ops.engines.cuda.plan import Plan, not_covered, plan_of
from asim_fx.ops.engines.cuda.reading import Draws, read_pass
from asim_fx.ops.reduction import Block, Gather, Reduction
from asim_fx.ops.schedule import Schedule, schedule

WORKING_BYTES = 512 * 2**20
"""About what the planes and sums of one block of vectors take."""
_LEAST_CAPABILITY = (8, 0)


def simulate(reduction: Reduction, config: OpConfig, seed: Seed, *, working_bytes: int = WORKING_BYTES) -> Tensor:
    """Return the sums of an operation as the plain engine does, to the bit; see there.

    Raises:
        UsageError: the fields of the configuration contradict each other.
    """
    if not_covered(config) or _without_kernel(reduction.stored.device):
        return plain.simulate(reduction, config, seed, working_bytes=working_bytes)
    result = plain.exact_sums(reduction, config, working_bytes=working_bytes)
    if not schedule(config).parts or reduction.numel == 0 or reduction.length == 0:
        return result
    # Triton launches on the current device.
    with torch.cuda.device_of(result):  # type: ignore[no-untyped-call]
        _add_reads(result, reduction, config, seed, working_bytes)
    return result


def _add_reads(result: Tensor, reduction: Reduction, config: OpConfig, seed: Seed, working_bytes: int) -> None:
    """Add everything that is read to the exact sums of an operation."""
    plan, work = plan_of(config), schedule(config)
    device = reduction.stored.device
    gather = _on_device(reduction.gather, device)
    streamed_facts, stored_facts = plane_facts(work.streamed, device), plane_facts(work.stored, device)
    draws = Draws.of(reduction, config, seed)
    step = min(config.step, reduction.length)
    blocks = reduction.blocks(max(1, working_bytes // _bytes_per_vector(reduction, work, plan, step)))
    for groups, parts in blocks:
        stored = pack_planes(*_stored_rows(reduction, groups), stored_facts, step)
        for block in parts:
            streamed = pack_planes(gather.source, gather.starts_of(block), gather.offsets, streamed_facts, step)
            totals = _totals(streamed, stored, plan, draws, _flat(reduction, block, device))
            _add(result, reduction, block, totals, plan)


@cache
def _without_kernel(device: torch.device) -> bool:
    """Return whether a device cannot run the kernel, and say so once."""
    if device.type != "cuda":
        return False  # Triton's interpreter.
    if torch.version.cuda is None:
        lacking = "is not from NVIDIA"
    elif torch.cuda.get_device_capability(device) < _LEAST_CAPABILITY:
        lacking = "has no tensor cores for 8-bit integers that Triton uses (compute capability 8.0, Ampere)"
    else:
        return False
    name = torch.cuda.get_device_name(device)
    warnings.warn(f"{name} {lacking}: the plain engine in torch runs, many times slower", stacklevel=3)
    return True


def _totals(streamed: Tensor, stored: Tensor, plan: Plan, draws: Draws, flat: Tensor) -> list[Tensor]:
    """Return the sum of places times codes for each scale of the plan, (groups, vectors, outputs) integers."""
    totals: dict[int, Tensor] = {}
    for part in plan.passes:
        codes = read_pass(streamed, stored, part, plan.reads_of_tile, draws, flat)
        totals[part.total] = codes if part.total not in totals else totals[part.total] + codes.to(torch.int64)
    return [totals[number] for number in range(len(plan.scales))]


def _add(result: Tensor, reduction: Reduction, block: Block, totals: list[Tensor], plan: Plan) -> None:
    """Add a block's sums in the order of the plan: a product and a sum, each rounded on its own."""
    whole = result.as_strided(
        (reduction.groups, reduction.samples, reduction.positions, reduction.outputs), reduction.strides
    )
    part = whole[block.groups, block.samples, block.positions]
    for total, scale in zip(totals, plan.scales, strict=True):
        part += (total.to(torch.float64) * scale).view(part.shape)


def _stored_rows(reduction: Reduction, groups: slice) -> tuple[Tensor, Tensor, Tensor]:
    """Return the stored codes of some groups as vectors: (source, starts, offsets) for ``pack_planes``."""
    codes = reduction.stored[groups]
    steps, device = codes.stride(), codes.device
    group, row, output = (
        torch.arange(size, device=device) * step for size, step in zip(codes.shape, steps, strict=True)
    )
    return codes, group[:, None] + output, row


def _flat(reduction: Reduction, block: Block, device: torch.device) -> Tensor:
    """Return what each vector of a block adds to the row-major index in the result, int64 (groups, vectors)."""
    group, sample, position = (
        torch.arange(part.start, part.stop, device=device) * step
        for part, step in zip((block.groups, block.samples, block.positions), reduction.strides[:3], strict=True)
    )
    return (group[:, None, None] + sample[:, None] + position).flatten(1)


def _on_device(gather: Gather, device: torch.device) -> Gather:
    groups, samples, positions = (part.to(device) for part in gather.starts)
    return replace(gather, starts=(groups, samples, positions), offsets=gather.offsets.to(device))


def _bytes_per_vector(reduction: Reduction, work: Schedule, plan: Plan, step: int) -> int:
    tiles = -(-reduction.length // step)
    planes = tiles * padded_rows(step) * len(work.streamed)
    return planes + reduction.outputs * 8 * (len(plan.passes) + 2) + 16
