"""How several codes of one cell become one, in the kernel."""

from __future__ import annotations

import triton
import triton.language as tl

MODE, MEDIAN, MEAN = 0, 1, 2


@triton.jit
def vote(codes, READS: tl.constexpr, MIDDLE: tl.constexpr):
    """Return one code for each cell.

    Args:
        codes: tuple of int32 tensors, one for each read.
        READS: their number.
        MIDDLE: for the median, the rank of the code that is taken; negative for the most common, ties to the smallest.
    """
    best = codes[0]
    best_count = tl.zeros_like(best)
    for candidate in tl.static_range(READS):
        code = codes[candidate]
        if MIDDLE >= 0:
            smaller = tl.zeros_like(best)
            not_larger = tl.zeros_like(best)
            for other in tl.static_range(READS):
                smaller += (codes[other] < code).to(tl.int32)
                not_larger += (codes[other] <= code).to(tl.int32)
            best = tl.where((smaller <= MIDDLE) & (not_larger > MIDDLE), code, best)
        else:
            count = tl.zeros_like(best)
            for other in tl.static_range(READS):
                count += (codes[other] == code).to(tl.int32)
            better = (count > best_count) | ((count == best_count) & (code < best))
            best = tl.where(better, code, best)
            best_count = tl.where(better, count, best_count)
    return best
