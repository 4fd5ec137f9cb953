"""The plain engine: one simulated operation in readable torch, on any device, in bounded memory.

Every engine computes this, bit for bit; docs/numerics.md is the contract. All sums are of integers, or of real numbers
in an order that depends on nothing but the operation, so neither blocks nor threads change a bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from asim_fx.nonidealities.column_errors import TileColumns, column_matrices
from asim_fx.nonidealities.reads import has_real_cells, needs_columns
from asim_fx.ops.codes import Columns, convert, reads_nothing_as_zero, top_code
from asim_fx.ops.config import OpConfig
from asim_fx.ops.die import cell_numbers
from asim_fx.ops.draws import READS_PER_BLOCK, Seed, output_counters, read_words
from asim_fx.ops.exact import can_convolve, integer_matmul
from asim_fx.ops.parallel import for_each, threads_for
from asim_fx.ops.planes import extract, partial_codes, partial_largest
from asim_fx.ops.products import exact_product, largest_column, stored_product
from asim_fx.ops.reduction import Block, Reduction
from asim_fx.ops.schedule import ExactPart, ReadPart, Schedule, lowest_part, part_scale, schedule
from asim_fx.ops.tiles import TileMatrix, tile_matrices
from asim_fx.ops.votes import vote

WORKING_BYTES = 48 * 2**20
"""About what the intermediates of one block take."""
ConvertNoisy = Callable[[Tensor, int, int, Columns | None], Tensor]
"""What ``convert`` does, of (MAC values, full scale, number of the read, columns) where each read draws its noise."""


class NoisyReads(Protocol):
    """How noise is drawn: the one thing that an engine may do faster and leave the rest to this one."""

    def __call__(
        self, flat: Tensor, numel: int, config: OpConfig, seed: Seed
    ) -> Callable[[Sequence[int]], ConvertNoisy]:
        """Return what converts for some outputs, once it is told which reads it will be asked for.

        Args:
            flat: int64 row-major indices of the outputs in a result of ``numel`` elements.
            numel: elements of the result.
            config: of the operation.
            seed: of the forward pass.
        """
        ...


def draw_plainly(flat: Tensor, numel: int, config: OpConfig, seed: Seed) -> Callable[[Sequence[int]], ConvertNoisy]:
    """Draw noise in torch."""
    outputs = output_counters(flat, config.layout, numel, seed)

    def of_reads(reads: Sequence[int]) -> ConvertNoisy:
        words = read_words(outputs, reads, seed.key(config.stream))
        return lambda mac, full, read, columns: convert(mac, config.read, full, words[read], columns)

    return of_reads


def simulate(
    reduction: Reduction,
    config: OpConfig,
    seed: Seed,
    *,
    working_bytes: int = WORKING_BYTES,
    noisy_reads: NoisyReads = draw_plainly,
) -> Tensor:
    """Return the sums of an operation in units of the product of both codes: flat, row-major.

    They are float64, or float32 where no digit is lost.

    Raises:
        UsageError: the fields of the configuration contradict each other.
    """
    work = schedule(config)
    if not work.parts:
        return exact_products(reduction, config, working_bytes=working_bytes)
    return _simulate(reduction, config, work, seed, working_bytes, noisy_reads)


def _simulate(
    reduction: Reduction,
    config: OpConfig,
    work: Schedule,
    seed: Seed,
    working_bytes: int,
    noisy_reads: NoisyReads = draw_plainly,
) -> Tensor:
    device = reduction.stored.device
    result = torch.empty(reduction.numel, dtype=torch.float64, device=device)
    threads = threads_for(device)
    vectors = max(1, working_bytes // (threads * _bytes_per_vector(reduction, config, work)))
    parts = list(reduction.blocks(min(vectors, -(-reduction.vectors // threads))))
    own = has_real_cells(config.read) or needs_columns(config.read)
    cells = cell_numbers(reduction, config) if work.parts and own else None
    constant = lowest_part(config, reduction.length)

    def prepare(groups: slice) -> Callable[[Block], None]:
        stored = reduction.stored[groups]
        products = [stored_product(part, stored, work) for part in work.exact]
        variants = len({(part.stored, part.analog) for part in work.parts})
        matrices = tile_matrices(stored, None if cells is None else cells[groups], work.stored, config, seed, variants)

        columns = column_matrices(None if cells is None else cells[groups], config.plan.weight_planes, config, seed)

        def compute(block: Block) -> None:
            vectors = reduction.streamed(block)
            sums = _Sums()
            if work.parts:
                noisy = None
                if work.noisy:
                    flat = reduction.flat_index(block, device)
                    noisy = noisy_reads(flat, reduction.numel, config, seed)
                _read_tiles(vectors, matrices, columns, work, config, noisy, sums)
            shape = (*vectors.shape[:2], reduction.outputs)
            total = torch.full(shape, constant, dtype=torch.float64, device=device)
            for product in products:
                total += exact_product(product, vectors, work)
            reduction.place(result, block, sums.add_to(total, config))

        return compute

    def compute_groups(part: tuple[slice, list[Block]]) -> None:
        groups, blocks = part
        compute = prepare(groups)
        for block in blocks:
            compute(block)

    if len(parts) == 1:
        groups, blocks = parts[0]
        for_each(prepare(groups), blocks, device)
    else:
        for_each(compute_groups, parts, device)
    return result


def exact_sums(reduction: Reduction, config: OpConfig, *, working_bytes: int = WORKING_BYTES) -> Tensor:
    """Return the exact part of an operation alone in float64, flat, row-major."""
    return exact_products(reduction, config, working_bytes=working_bytes).to(torch.float64)


def exact_products(reduction: Reduction, config: OpConfig, *, working_bytes: int = WORKING_BYTES) -> Tensor:
    """Return the exact part of an operation alone, as ``simulate`` returns the whole."""
    work = schedule(config)
    constant = lowest_part(config, reduction.length)
    if not work.exact:
        return torch.full((reduction.numel,), constant, dtype=torch.float64, device=reduction.stored.device)
    pairs = _whole_products(reduction, work)
    if reduction.whole is not None and pairs:
        products = (
            reduction.whole(partial_codes(reduction.gather.source, work.streamed, part.streamed), stored)
            for part, stored in pairs
        )
        if len(pairs) == 1 and not constant:
            return next(products)
        total = torch.full((reduction.numel,), constant, dtype=torch.float64, device=reduction.stored.device)
        for product in products:
            total += product
        return total
    return _simulate(reduction, config, replace(work, parts=(), noisy=False), Seed(0), working_bytes)


def _whole_products(reduction: Reduction, work: Schedule) -> list[tuple[ExactPart, Tensor]]:
    """Return the exact parts and what is stored for each, where the library's own operation rounds none of them."""
    if reduction.whole is None or reduction.numel == 0 or reduction.length == 0:
        return []
    pairs = []
    for part in work.exact:
        stored = partial_codes(reduction.stored, work.stored, part.stored)
        largest = partial_largest(work.streamed, part.streamed)
        if not can_convolve(stored.device, largest * largest_column(stored, part, work)):
            return []
        pairs.append((part, stored))
    return pairs


@dataclass(slots=True)
class _Sums:
    """Codes added up, apart for each (full scale, votes averaged): integers, or real values of an ideal converter."""

    of: dict[tuple[int, int], Tensor] = field(default_factory=dict)

    def add(self, key: tuple[int, int], outcome: Tensor, place: int) -> None:
        if key not in self.of:
            dtype = torch.float64 if outcome.is_floating_point() else torch.int64
            self.of[key] = torch.zeros(outcome.shape, dtype=dtype, device=outcome.device)
        # The place is a power of two, or 1: the product is exact, so a fused multiply-add gives the same bits.
        self.of[key].add_(outcome, alpha=place)

    def add_to(self, total: Tensor, config: OpConfig) -> Tensor:
        for full, votes in sorted(self.of):
            unit = config.read.span(full) / (top_code(config.read) * votes)
            total += self.of[full, votes].to(torch.float64) * unit
        return total


def _read_tiles(
    vectors: Tensor,
    matrices: TileMatrix,
    columns: TileColumns,
    work: Schedule,
    config: OpConfig,
    noisy: Callable[[Sequence[int]], ConvertNoisy] | None,
    sums: _Sums,
) -> None:
    integers = vectors.to(torch.int32)
    for tile in range(-(-vectors.shape[-1] // config.step)):
        rows = integers[..., tile * config.step : (tile + 1) * config.step]
        of_tile = noisy(list(_reads_of(work, config, tile))) if noisy else None
        for part in work.parts:
            plane = extract(rows, work.streamed[part.streamed])
            draw = of_tile if part.analog else None
            silent = not draw and reads_nothing_as_zero(config.read, part_scale(config, work, part))
            if silent and not bool(plane.any()):
                continue  # Nothing conducts: code 0.
            _read_part(plane, tile, part, matrices, columns, work, config, draw, sums)


def _read_part(
    plane: Tensor,
    tile: int,
    part: ReadPart,
    matrices: TileMatrix,
    columns: TileColumns,
    work: Schedule,
    config: OpConfig,
    draw: ConvertNoisy | None,
    sums: _Sums,
) -> None:
    streamed = work.streamed[part.streamed]
    varies = part.analog and has_real_cells(config.read)
    matrix = matrices(tile, part.stored, varies)
    if varies:
        # Float64 on a grid of 2**-20: exact, so that the order of the sum does not matter.
        macs = torch.matmul(plane.to(torch.float64), matrix)
    else:
        macs = integer_matmul(plane, matrix, streamed.largest * work.stored[part.stored[0]].largest)
    macs = macs.view(*macs.shape[:2], len(part.stored), -1)
    full = part_scale(config, work, part)
    reads = part.reads if draw else 1
    averaged = reads if config.plan.vote == "mean" else 1
    for position, i in enumerate(part.stored):
        mac = macs[:, :, position]
        numbers = [_read_number(config, tile, i, part.streamed, again) for again in range(reads)]
        column = columns(tile, i) if part.analog else None
        outcomes = [
            draw(mac, full, number, column) if draw else convert(mac, config.read, full, None, column)
            for number in numbers
        ]
        place = work.stored[i].place * streamed.place
        sums.add((full, averaged), vote(outcomes, config.plan.vote), place)


def _read_number(config: OpConfig, tile: int, i: int, j: int, again: int) -> int:
    """Return the number of a read among all reads of one output."""
    plan = config.plan
    cell = tile * plan.weight_planes * plan.input_planes + i * plan.input_planes + j
    return cell * plan.max_reads + again


def _reads_of(work: Schedule, config: OpConfig, tile: int) -> set[int]:
    return {
        _read_number(config, tile, i, part.streamed, again)
        for part in work.parts
        if part.analog
        for i in part.stored
        for again in range(part.reads)
    }


def _bytes_per_vector(reduction: Reduction, config: OpConfig, work: Schedule) -> int:
    """Return about what one streamed vector needs while it is worked on."""
    per_output = 24
    if work.parts:
        wide = max(len(part.stored) for part in work.parts)
        per_output += 4 * wide + 16 * max(part.reads for part in work.parts) + 64
        if work.noisy:
            # Words come in blocks, and all of a tile's are made together.
            blocks = {read // READS_PER_BLOCK for read in _reads_of(work, config, 0)}
            per_output += 8 * READS_PER_BLOCK * len(blocks) + 48
    return reduction.length * 16 + reduction.outputs * per_output
