"""An operation as the arrays that the kernel works through, and what the kernel does not cover."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from asim_fx.ops.codes import top_code
from asim_fx.ops.config import OpConfig
from asim_fx.ops.engines.reads import draws, first_read, not_counted, reads_of_tile, sum_key, table_of, unit_of
from asim_fx.ops.engines.tables import ReadTable
from asim_fx.ops.planes import Plane
from asim_fx.ops.schedule import ReadPart, Schedule, schedule

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
    return _not_covered(config)


@lru_cache(maxsize=1024)
def _not_covered(config: OpConfig) -> str:
    work = schedule(config)
    if not work.parts:
        return ""
    if reason := not_counted(config, work):
        return reason
    largest = sum(_place(work, part, i) * part.reads for part in work.parts for i in part.stored)
    return "" if largest * top_code(config.read) < _LARGEST_SUM else "sums of one row tile need more than 32 bits"


@lru_cache(maxsize=1024)
def plan_of(config: OpConfig) -> Plan:
    """Return the plan of a covered operation that has reads."""
    work = schedule(config)
    keys = sorted({sum_key(config, work, part) for part in work.parts})
    tables: list[ReadTable] = []
    cells = []
    for part in work.parts:
        table = table_of(config, work, part)
        assert table is not None
        numbers = [number for number, other in enumerate(tables) if other is table]
        if not numbers:
            numbers = [len(tables)]
            tables.append(table)
        for i in part.stored:
            cells.append(
                Cell(
                    stored=_bits(work.stored[i]),
                    streamed=_bits(work.streamed[part.streamed]),
                    place=work.stored[i].place * work.streamed[part.streamed].place,
                    sum=keys.index(sum_key(config, work, part)),
                    first_read=first_read(config, i, part.streamed),
                    reads=part.reads if draws(work, part) else 1,
                    table=numbers[0],
                )
            )
    cells.sort(key=lambda cell: cell.first_read)
    scales = np.array([unit_of(config, key) for key in keys])
    return Plan(tuple(cells), tuple(tables), scales, reads_of_tile(config))


def _bits(plane: Plane) -> tuple[int, ...]:
    return tuple(range(plane.first, plane.first + plane.width))


def _place(work: Schedule, part: ReadPart, i: int) -> int:
    return abs(work.stored[i].place * work.streamed[part.streamed].place)
