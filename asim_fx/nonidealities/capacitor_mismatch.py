"""Capacitor mismatch of a die: each cell of a charge-domain column has a unit capacitor of its own size.

All capacitors of the column share their charge, those of cells that store 0 and of rows that the tile leaves empty too:
the column is rows * sum(x * w * C) / sum(C), in MAC units.
"""

from __future__ import annotations

import torch
from torch import Tensor

from asim_fx.nonidealities.cell_variation import GRID_BITS
from asim_fx.ops.draws import CellDomain, cell_words
from asim_fx.ops.normal import normal


def vary_capacitors(strengths: Tensor, cells: Tensor, percent: float, rows: int, key: tuple[int, int]) -> Tensor:
    """Return what each stored digit adds to its column, float64 on the grid of cell strengths.

    Args:
        strengths: of the stored digits before this effect, float64, (groups, rows of the tile, N, cells of a weight).
        cells: int64 number of each weight, (groups, rows of the tile, N).
        percent: standard deviation of a capacitor, in percent of it.
        rows: capacitors of a column.
        key: of the site and the die.
    """
    planes = strengths.shape[-1]
    deviation = normal(cell_words(cells, planes, key, CellDomain.CAPACITOR)).to(torch.float64) * (percent / 100)
    # Only the sum of the capacitors that the tile does not use matters, so that one draw stands for all of them.
    unused = max(0, rows - cells.shape[1])
    others = normal(cell_words(cells[:, :1], planes, key, CellDomain.OTHER_CAPACITORS)).to(torch.float64)
    grid = 2.0**GRID_BITS
    # On the grid before it is added up: a float sum over another order of rows would be another one.
    total = (
        rows + (torch.round(deviation * grid).sum(dim=1, keepdim=True)) / grid + others * percent / 100 * unused**0.5
    )
    return torch.round(strengths * (1 + deviation) * (rows / total) * grid) / grid
