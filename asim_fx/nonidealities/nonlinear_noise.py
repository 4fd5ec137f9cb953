"""ASiM's nonlinear noise: a spread that falls as more cells of the column conduct (``non_linear_sigma``)."""

from __future__ import annotations

import torch

from asim_fx.nonidealities.read_model import ReadModel
from asim_fx.ops.config import ReadEffects


def add_nonlinear_noise(read: ReadModel, effects: ReadEffects) -> ReadModel:
    """Return the read with noise of variance sigma**2 / (v * rows + 1), v before noise, drawn anew at each read."""
    if not effects.nonlinear_percent_fs:
        return read
    at_zero = torch.full_like(read.mac, (effects.nonlinear_percent_fs / 100) ** 2)
    return read.with_variance(at_zero / (read.value * read.rows + 1))
