"""Variation of the cells: a stored digit adds its own strength to the column, not exactly itself (``weight_var``)."""

from __future__ import annotations

import torch
from torch import Tensor

from asim_fx.ops.draws import Seed, cell_words
from asim_fx.ops.normal import normal

GRID_BITS = 20
"""Strengths are multiples of 2**-20 of a unit, so that a column adds up to the same value in any order."""


def vary_cells(
    digits: Tensor,
    cells: Tensor,
    percent: float,
    key: tuple[int, int],
    *,
    largest: Tensor | int = 1,
    proportional: bool = False,
) -> Tensor:
    """Return the strengths of the stored digits, float64 on the grid: digit + largest * N(0, (percent/100)**2).

    Every physical cell has its own draw, one for each (group, row, output, cell) of the site, whatever it stores.

    Args:
        digits: what each cell holds, float, (..., cells of a weight).
        cells: int64 number of the weight, (...).
        percent: standard deviation in percent of the largest strength.
        key: of the site and the chip.
        largest: what each cell can hold at most.
        proportional: in percent of what the cell holds instead: a cell that holds 0 adds nothing.
    """
    deviation = normal(cell_words(cells, digits.shape[-1], key)).to(torch.float64) * (percent / 100)
    grid = 2.0**GRID_BITS
    nominal = digits.to(torch.float64)
    return torch.round((nominal + deviation * (nominal if proportional else largest)) * grid) / grid


def chip_of(seed: Seed, *, redrawn: bool) -> Seed:
    """Return what the cells are drawn from: a die, or ``redrawn`` another one at each forward pass.

    Where no die is given, the seed is one.
    """
    return seed.redrawn() if redrawn else Seed(seed.seed if seed.die is None else seed.die)
