"""How several codes of one cell become one, for each lane; see asim_fx.ops.votes."""

from __future__ import annotations

from typing import Any

import numpy as np

from asim_fx.ops.engines.cpu.compiled import compiled
from asim_fx.ops.engines.cpu.lanes import U32, VECTOR, Row, constant, on_lanes

MODE, MEDIAN, MEAN = range(3)
"""The rules as numbers."""
SPARE_ROWS = 3
"""Rows that the count of votes takes beside the codes."""


def _clear(builder: Any, row: Row) -> None:
    row.store(constant(0))


def _add_times(builder: Any, codes: Row, factor: Any, sums: Row) -> None:
    sums.add(builder.mul(codes.load(), factor))


def _order(builder: Any, low: Row, high: Row) -> None:
    first, second = low.load(), high.load()
    ordered = builder.icmp_unsigned("<=", first, second)
    low.store(builder.select(ordered, first, second))
    high.store(builder.select(ordered, second, first))


def _count_equal(builder: Any, codes: Row, candidate: Row, votes: Row) -> None:
    votes.add(builder.zext(builder.icmp_unsigned("==", codes.load(), candidate.load()), VECTOR))


def _keep_better(builder: Any, candidate: Row, votes: Row, best: Row, most: Row) -> None:
    code, count, best_code, best_count = candidate.load(), votes.load(), best.load(), most.load()
    more = builder.icmp_unsigned(">", count, best_count)
    tied = builder.icmp_unsigned("==", count, best_count)
    better = builder.or_(more, builder.and_(tied, builder.icmp_unsigned("<", code, best_code)))
    best.store(builder.select(better, code, best_code))
    most.store(builder.select(better, count, best_count))


_clear_lanes = on_lanes(_clear)
_add_lanes = on_lanes(_add_times)
_order_lanes = on_lanes(_order)
_count_lanes = on_lanes(_count_equal)
_keep_lanes = on_lanes(_keep_better)


@compiled
def add_voted(work: U32, first: int, reads: int, spare: int, how: int, factor: np.uint32, row: int) -> None:
    """Add ``factor`` times the outcome of some codes to a row of sums; may reorder the codes.

    Args:
        work: (rows, LANES): sums, codes and spare rows.
        first: row of the first code.
        reads: number of codes.
        spare: first of SPARE_ROWS rows to work in.
        how: the rule.
        factor: of the outcome.
        row: of the sums.
    """
    if how == MEAN:
        for again in range(reads):
            _add_lanes(work, first + again, factor, work, row)
    elif how == MEDIAN:
        middle = (reads - 1) // 2
        # The largest of the codes that are left moves to their end, until the middle one is the largest.
        for end in range(reads - 1, middle - 1, -1):
            for at in range(end):
                _order_lanes(work, first + at, work, first + at + 1)
        _add_lanes(work, first + middle, factor, work, row)
    else:
        votes, best, most = spare, spare + 1, spare + 2
        _clear_lanes(work, most)
        for candidate in range(reads):
            _clear_lanes(work, votes)
            for again in range(reads):
                _count_lanes(work, first + again, work, first + candidate, work, votes)
            _keep_lanes(work, first + candidate, work, votes, work, best, work, most)
        _add_lanes(work, best, factor, work, row)
