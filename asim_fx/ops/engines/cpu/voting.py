"""How several codes of one cell become one, for each lane; see asim_fx.ops.votes."""

from __future__ import annotations

import numpy as np

from asim_fx.ops.engines.cpu.compiled import compiled
from asim_fx.ops.engines.cpu.lanes import LANES, U32

MODE, MEDIAN, MEAN = range(3)
"""The rules as numbers."""


@compiled
def add_voted(codes: U32, reads: int, how: int, factor: np.uint32, sums: U32, row: int) -> None:
    """Add ``factor`` times the outcome of the first ``reads`` rows of codes to a row of sums; may reorder them."""
    for lane in range(LANES):
        if how == MEAN:
            total = np.uint32(0)
            for again in range(reads):
                total += codes[again, lane]
        elif how == MEDIAN:
            total = _median(codes, reads, lane)
        else:
            total = _mode(codes, reads, lane)
        sums[row, lane] += np.uint32(np.uint32(total) * factor)


@compiled
def _median(codes: U32, reads: int, lane: int) -> np.uint32:
    for at in range(1, reads):
        value = codes[at, lane]
        back = at
        while back > 0 and codes[back - 1, lane] > value:
            codes[back, lane] = codes[back - 1, lane]
            back -= 1
        codes[back, lane] = value
    middle: np.uint32 = codes[(reads - 1) // 2, lane]
    return middle


@compiled
def _mode(codes: U32, reads: int, lane: int) -> np.uint32:
    best: np.uint32 = codes[0, lane]
    most = 0
    for candidate in range(reads):
        count = 0
        for again in range(reads):
            count += codes[again, lane] == codes[candidate, lane]
        if count > most or (count == most and codes[candidate, lane] < best):
            best, most = codes[candidate, lane], count
    return best
