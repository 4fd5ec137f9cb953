"""An operation as passes of one kernel, and what the kernel does not cover. Needs no Triton."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from asim_fx.nonidealities.reads import has_real_cells, needs_columns
from asim_fx.ops.cells import word_bits
from asim_fx.ops.codes import top_code
from asim_fx.ops.config import OpConfig, ReadEffects
from asim_fx.ops.engines.cpu.tables import ReadTable, read_table
from asim_fx.ops.schedule import ReadPart, Schedule, part_scale, schedule

WIDEST_PLANE = 7
"""Bits of a plane: its values are signed bytes to the tensor cores."""
MOST_COMPARED = 9
"""Reads of a cell that are all in registers where they are compared with one another (mode and median)."""
_INT32 = 2**31


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the bit plan that is read."""

    stored: int
    streamed: int
    place: int
    first_read: int


@dataclass(frozen=True, slots=True)
class Pass:
    """Cells that are read the same way: one launch of the kernel.

    Attributes:
        cells: in the order of their reads.
        reads: of each cell.
        noisy: whether reads draw.
        total: number of the sum that the codes add up to.
        effects: what a read does.
        full_scale: MAC value of the top code.
        largest_sum: bound on the magnitude of the sum over one row tile.
    """

    cells: tuple[Cell, ...]
    reads: int
    noisy: bool
    total: int
    effects: ReadEffects
    full_scale: int
    largest_sum: int

    @property
    def table(self) -> ReadTable:
        """Codes of every MAC value."""
        table = read_table(self.effects, self.full_scale, noisy=self.noisy)
        assert table is not None
        return table

    def fits_int32(self, tiles: int) -> bool:
        """Whether no sum over so many row tiles, nor any part of it, leaves 32 bits."""
        return self.largest_sum * tiles < _INT32


@dataclass(frozen=True, slots=True)
class Plan:
    """What the kernel reads of every row tile.

    Attributes:
        passes: in any order, for integers are added up.
        scales: real value of one unit of each sum, in the order in which they are added.
        reads_of_tile: reads of one output in one row tile, whether the schedule takes them or not.
    """

    passes: tuple[Pass, ...]
    scales: tuple[float, ...]
    reads_of_tile: int


def not_covered(config: OpConfig) -> str:
    """Return why the CUDA engine leaves this operation to the plain one, or the empty string."""
    work = schedule(config)
    read = config.read
    if not work.parts:
        return ""
    if has_real_cells(read):
        return "cells vary"
    if needs_columns(read):
        return "converters differ"
    if read.parallel:
        return "weights: parallel"
    if read.subtracted:
        return "differential.subtract: analog"
    if read.adc_bits is None:
        return "the converter is ideal"
    if max(config.input.bits, config.weight.bits) > 16:
        return "codes of more than 16 bits"
    if word_bits(config) > 16:
        return "both parts of differential weights are more than 16 bits"
    if config.step > read.rows:
        return "a row tile is longer than the array"
    if max(work.streamed[part.streamed].width for part in work.parts) > WIDEST_PLANE:
        return f"input_encoding of more than {WIDEST_PLANE} bits"
    if max(work.stored[i].width for part in work.parts for i in part.stored) > WIDEST_PLANE:
        return f"cell_bits of more than {WIDEST_PLANE}"
    for part in work.parts:
        noisy = _draws(work, part)
        if noisy and config.plan.vote != "mean" and part.reads > MOST_COMPARED:
            return f"vote: {config.plan.vote} of more than {MOST_COMPARED} samples"
        if read_table(read, part_scale(config, work, part), noisy=noisy) is None:
            return "noise is too wide or codes are too many for a table" if noisy else "MAC values are too many"
    return ""


@lru_cache(maxsize=1024)
def plan_of(config: OpConfig) -> Plan:
    """Return the plan of a covered operation that has reads."""
    work = schedule(config)
    alike: dict[tuple[int, int, bool], list[ReadPart]] = {}
    for part in work.parts:
        noisy = _draws(work, part)
        full = part_scale(config, work, part)
        alike.setdefault((full, part.reads if noisy else 1, noisy), []).append(part)
    keys = sorted({_key(config, *kind) for kind in alike})
    passes = []
    for (full, reads, noisy), parts in alike.items():
        cells = sorted(_cells(config, work, parts), key=lambda cell: cell.first_read)
        key = _key(config, full, reads, noisy)
        largest = sum(abs(cell.place) for cell in cells) * top_code(config.read) * key[1]
        passes.append(Pass(tuple(cells), reads, noisy, keys.index(key), config.read, full, largest))
    plan = config.plan
    scales = tuple(config.read.span(full) / (top_code(config.read) * votes) for full, votes in keys)
    return Plan(tuple(passes), scales, plan.weight_planes * plan.input_planes * plan.max_reads)


def _draws(work: Schedule, part: ReadPart) -> bool:
    return work.noisy and part.analog


def _key(config: OpConfig, full: int, reads: int, noisy: bool) -> tuple[int, int]:
    """Return what codes must share to be added up: full scale and votes averaged."""
    return full, reads if noisy and config.plan.vote == "mean" else 1


def _cells(config: OpConfig, work: Schedule, parts: list[ReadPart]) -> list[Cell]:
    return [
        Cell(
            stored=i,
            streamed=part.streamed,
            place=work.stored[i].place * work.streamed[part.streamed].place,
            first_read=(i * config.plan.input_planes + part.streamed) * config.plan.max_reads,
        )
        for part in parts
        for i in part.stored
    ]
