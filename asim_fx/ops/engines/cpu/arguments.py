"""A plan as the arrays that the kernel takes."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asim_fx.ops.config import OpConfig
from asim_fx.ops.engines.cpu.plan import plan_of
from asim_fx.ops.engines.cpu.voting import MEAN, MEDIAN, MODE
from asim_fx.ops.engines.tables import ReadTable

# Columns of the cell array, one row for each cell that is read, in the order of their reads.
FIRST_TERM, END_TERM, PLACE, SUM, FIRST_READ, READS, TABLE = range(7)
# Columns of the term array: a cell's MAC value is the sum of 2**shift times the ones that both words share.
LANE_BIT, OTHER_BIT, SHIFT = range(3)
# Columns of the table array.
START, COLUMN_BITS, MULTIPLIER, FEW, FEW_LIMIT, LIMIT = range(6)

_VOTES = {"mode": MODE, "median": MEDIAN, "mean": MEAN}


class Arguments(NamedTuple):
    """What the kernel is told of an operation, for streamed or for stored vectors in the lanes.

    Attributes:
        cells: see the columns above.
        terms: see the columns above.
        tables: see the columns above.
        entries: of all tables.
        low_cuts: of all tables.
        how: votes become one.
        reads_of_tile: reads of one output in one row tile.
        scales: real value of one unit of each sum, in the order in which they are added.
    """

    cells: NDArray[np.int64]
    terms: NDArray[np.int64]
    tables: NDArray[np.int64]
    entries: NDArray[np.uint32]
    low_cuts: NDArray[np.uint32]
    how: int
    reads_of_tile: int
    scales: NDArray[np.float64]


@lru_cache(maxsize=64)
def arguments_of(config: OpConfig, *, streamed_lanes: bool) -> Arguments:
    """Return the arguments of a covered operation that has reads."""
    plan = plan_of(config)
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
    facts = [(start, *_facts(table)) for start, table in zip(starts, plan.tables, strict=False)]
    return Arguments(
        np.array(cells, np.int64),
        np.array(terms, np.int64),
        np.array(facts, np.int64),
        entries,
        low_cuts,
        _VOTES[config.plan.vote],
        plan.reads_of_tile,
        plan.scales,
    )


def _facts(table: ReadTable) -> tuple[int, ...]:
    """Return what follows the start in a row of the table array."""
    settled = table.settled
    if settled is None:
        return table.column_bits, table.multiplier, 0, 0, 0
    return table.column_bits, settled.multiplier, settled.few, settled.few_limit, settled.limit
