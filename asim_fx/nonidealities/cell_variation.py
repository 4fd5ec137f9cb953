"""Variation of the cells: a stored bit adds its own strength to the column, not exactly one unit (``weight_var``)."""

from __future__ import annotations

import torch
from torch import Tensor

from asim_fx.ops.draws import Seed, cell_words
from asim_fx.ops.normal import normal

GRID_BITS = 20
"""Strengths are multiples of 2**-20 of a bit, so that a column adds up to the same value in any order."""


def vary_cells(bits: Tensor, cells: Tensor, percent: float, key: tuple[int, int]) -> Tensor:
    """Return the strengths of the stored bits: bit + N(0, (percent/100)**2), float64 on the grid.

    Every physical cell has its own draw, one for each (group, row, output, stored plane) of the site, whether it stores
    0 or 1.

    Args:
        bits: 0 or 1, float, (..., planes).
        cells: int64 number of the weight, (...).
        percent: standard deviation in percent of a bit.
        key: of the site and the chip.
    """
    deviation = normal(cell_words(cells, bits.shape[-1], key)).to(torch.float64) * (percent / 100)
    grid = 2.0**GRID_BITS
    return torch.round((bits.to(torch.float64) + deviation) * grid) / grid


def chip_of(seed: Seed, *, redrawn: bool) -> Seed:
    """Return what the cells are drawn from: a die, or ``redrawn`` another one at each forward pass.

    Where no die is given, the seed is one.
    """
    return seed.redrawn() if redrawn else Seed(seed.seed if seed.die is None else seed.die)
