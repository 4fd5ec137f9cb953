"""Stuck cells: some cells of a die hold 0, or 1, whatever is written to them."""

from __future__ import annotations

import torch
from torch import Tensor

from asim_fx.ops.config import Operand, ReadEffects
from asim_fx.ops.draws import CellDomain, cell_words


def stick_cells(codes: Tensor, cells: Tensor, operand: Operand, effects: ReadEffects, key: tuple[int, int]) -> Tensor:
    """Return the codes that the cells hold: float32, of ``codes``' shape.

    Of all cells, ``stuck_at_0_percent`` hold 0 and ``stuck_at_1_percent`` hold 1: those whose word, as a share of
    2**32, is below the first, or in the next such range.

    Args:
        codes: two's complement, float32.
        cells: int64 number of each code.
        operand: the stored one.
        effects: shares of stuck cells.
        key: of the site and the die.
    """
    words = cell_words(cells, operand.bits, key, CellDomain.STUCK)
    lower = round(effects.stuck_at_0_percent / 100 * 2**32)
    upper = round((effects.stuck_at_0_percent + effects.stuck_at_1_percent) / 100 * 2**32)
    place = 1 << torch.arange(operand.bits, device=codes.device)
    zeros = ((words < lower) * place).sum(dim=-1)
    ones = (((words >= lower) & (words < upper)) * place).sum(dim=-1)
    held = ((codes.to(torch.int64) & ~zeros) | ones) & ((1 << operand.bits) - 1)
    if operand.signed:
        held = held - (held >> (operand.bits - 1) << operand.bits)
    return held.to(torch.float32)
