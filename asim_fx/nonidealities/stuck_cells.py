"""Stuck cells: some cells of a die hold 0, or the most they can hold, whatever is written to them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from asim_fx.ops.config import ReadEffects
from asim_fx.ops.draws import CellDomain, cell_words
from asim_fx.ops.planes import Plane


def stick_cells(
    words: Tensor, cells: Tensor, planes: Sequence[Plane], effects: ReadEffects, key: tuple[int, int]
) -> Tensor:
    """Return the words that the cells hold: int64, of ``words``' shape.

    Of all cells, ``stuck_at_0_percent`` hold 0 and ``stuck_at_1_percent`` all their bits: those whose random word, as a
    share of 2**32, is below the first, or in the next such range.

    Args:
        words: the bits of all cells of each code, int64.
        cells: int64 number of each code.
        planes: bits of each cell in the words.
        effects: shares of stuck cells.
        key: of the site and the die.
    """
    drawn = cell_words(cells, len(planes), key, CellDomain.STUCK)
    lower = round(effects.stuck_at_0_percent / 100 * 2**32)
    upper = round((effects.stuck_at_0_percent + effects.stuck_at_1_percent) / 100 * 2**32)
    bits = torch.tensor([(2**plane.width - 1) << plane.first for plane in planes], device=words.device)
    zeros = ((drawn < lower) * bits).sum(dim=-1)
    ones = (((drawn >= lower) & (drawn < upper)) * bits).sum(dim=-1)
    return (words & ~zeros) | ones
