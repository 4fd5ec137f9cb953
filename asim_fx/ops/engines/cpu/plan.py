"""An operation as the arrays that the kernel works through, and what the kernel does not cover."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from asim_fx.nonidealities.reads import has_real_cells, needs_columns
from asim_fx.ops.cells import word_bits
from asim_fx.ops.codes import top_code
from asim_fx.ops.config import OpConfig
from asim_fx.ops.engines.cpu.tables import ReadTable, read_table
from asim_fx.ops.planes import Plane
from asim_fx.ops.schedule import ReadPart, Schedule, part_scale, schedule

_LARGEST_SUM = 2**31


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the bit plan that is read: a run of stored bits times a run of streamed bits."""

    stored: tuple[int, ...]
    streamed: tuple[int, ...]
    place: int
    sum: int
    first_read: int
    reads: int
    table: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What the kernel reads of every row tile.

    Attributes:
        cells: in the order of their reads.
        tables: of the cells.
        scales: real value of one unit of each sum.
        reads_of_tile: reads of one output in one row tile, whether the schedule takes them or not.
    """

    cells: tuple[Cell, ...]
    tables: tuple[ReadTable, ...]
    scales: NDArray[np.float64]
    reads_of_tile: int


def not_covered(config: OpConfig) -> str:
    """Return why the CPU engine leaves this operation to the plain one, or the empty string."""
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
    for part in work.parts:
        noisy = work.noisy and part.analog
        if read_table(read, part_scale(config, work, part), noisy=noisy) is None:
            return "noise is too wide or codes are too many for a table" if noisy else "MAC values are too many"
    largest = sum(_place(work, part, i) * part.reads for part in work.parts for i in part.stored)
    return "" if largest * top_code(read) < _LARGEST_SUM else "sums of one row tile need more than 32 bits"


@lru_cache(maxsize=1024)
def plan_of(config: OpConfig) -> Plan:
    """Return the plan of a covered operation that has reads."""
    work = schedule(config)
    keys = sorted({_key(config, work, part) for part in work.parts})
    tables: list[ReadTable] = []
    numbers: dict[tuple[int, bool], int] = {}
    cells = []
    for part in work.parts:
        plane = work.streamed[part.streamed]
        noisy = work.noisy and part.analog
        kind = part_scale(config, work, part), noisy
        if kind not in numbers:
            table = read_table(config.read, kind[0], noisy=noisy)
            assert table is not None
            numbers[kind] = len(tables)
            tables.append(table)
        for i in part.stored:
            cells.append(
                Cell(
                    stored=_bits(work.stored[i]),
                    streamed=_bits(plane),
                    place=work.stored[i].place * plane.place,
                    sum=keys.index(_key(config, work, part)),
                    first_read=(i * config.plan.input_planes + part.streamed) * config.plan.max_reads,
                    reads=part.reads if noisy else 1,
                    table=numbers[kind],
                )
            )
    cells.sort(key=lambda cell: cell.first_read)
    scales = np.array([config.read.span(full) / (top_code(config.read) * votes) for full, votes in keys])
    reads_of_tile = config.plan.weight_planes * config.plan.input_planes * config.plan.max_reads
    return Plan(tuple(cells), tuple(tables), scales, reads_of_tile)


def _key(config: OpConfig, work: Schedule, part: ReadPart) -> tuple[int, int]:
    """Return what codes must share to be added up: full scale and votes averaged."""
    averaged = part.reads if work.noisy and part.analog and config.plan.vote == "mean" else 1
    return part_scale(config, work, part), averaged


def _bits(plane: Plane) -> tuple[int, ...]:
    return tuple(range(plane.first, plane.first + plane.width))


def _place(work: Schedule, part: ReadPart, i: int) -> int:
    return abs(work.stored[i].place * work.streamed[part.streamed].place)
