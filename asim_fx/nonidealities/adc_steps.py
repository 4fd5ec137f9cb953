"""Differential nonlinearity drawn for a die: the steps of the converter are not equally wide."""

from __future__ import annotations

from functools import lru_cache

import torch

from asim_fx.ops.draws import CellDomain, cell_words
from asim_fx.ops.normal import normal


@lru_cache(maxsize=256)
def drawn_thresholds(top: int, dnl_sigma_lsb: float, key: tuple[int, int]) -> tuple[float, ...]:
    """Return the level of each step, to codes 1 to ``top``, in ideal steps: ascending.

    The width of a step is 1 + N(0, sigma**2), and never below 0. Widths are then scaled so that the first and the last
    level are where they belong: the end-point line of IEEE Std 1241-2010 has gain and offset errors apart, which are
    effects of their own.

    Args:
        top: code of full scale.
        dnl_sigma_lsb: standard deviation of a width.
        key: of the site and the die.
    """
    levels = torch.arange(top, dtype=torch.float64) + 0.5
    if top > 1:
        words = cell_words(torch.arange(top - 1), 1, key, CellDomain.CONVERTER_STEPS)[:, 0]
        widths = (1 + dnl_sigma_lsb * normal(words).to(torch.float64)).clamp(min=0)
        total = widths.sum()
        if total > 0:
            levels[1:] = 0.5 + (top - 1) * widths.cumsum(0) / total
    return tuple(levels.tolist())
